/* SPDX-License-Identifier: MIT */
#include "percent.h"

int percent_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

enum err percent_decode(const char *text, size_t len, char *out, size_t out_size)
{
	size_t used = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high = len - i > 2 ? percent_hex_value(text[i + 1]) : -1;
			int low = len - i > 2 ? percent_hex_value(text[i + 2]) : -1;

			if (high < 2 || low < 0 || high > 7 || (high == 7 && low == 15))
				return ERR_INVAL;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (used + 1 >= out_size)
			return ERR_INVAL;
		out[used++] = c;
	}
	out[used] = '\0';
	return ERR_OK;
}
