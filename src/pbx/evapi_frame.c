/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/pbx/evapi_frame.h>

#define ID_MAX_BYTES 1024

static size_t digits_of(size_t value)
{
	size_t digits = 1;

	for (; value >= 10; value /= 10)
		digits++;
	return digits;
}

static void frame_add(struct buf *out, const char *text, size_t len)
{
	size_t padded = len;

	while ((digits_of(padded) + strlen(":") + padded + strlen(",")) % EVAPI_FRAME_UNIT_BYTES)
		padded++;
	buf_printf(out, "%zu:", padded);
	buf_add(out, text, len);
	buf_printf(out, "%*s,", (int)(padded - len), "");
}

void evapi_frame_add(struct buf *out, const char *text, size_t len)
{
	static const char ok[] = "\"ok\":"; /* follows the id; within a string it is \"ok\" */
	char error[ID_MAX_BYTES + 200];
	const char *id_end;
	int id_len;

	if (len <= EVAPI_FRAME_MAX_BYTES) {
		frame_add(out, text, len);
		return;
	}
	id_end = memmem(text, len, ok, sizeof(ok) - 1);
	id_len = id_end && id_end - text <= ID_MAX_BYTES ? (int)(id_end - text) : 1;
	int error_len = snprintf(error, sizeof(error),
		"%.*s\"ok\":false,\"error\":\"too-long\",\"field\":null,\"message\":"
		"\"the reply has %zu bytes, of which Kamailio's evapi takes %zu\"}",
		id_len, text, len, EVAPI_FRAME_MAX_BYTES);
	frame_add(out, error, (size_t)error_len);
}

size_t evapi_frames_within(const char *data, size_t len, size_t max_bytes)
{
	size_t end = 0;

	while (end < len) {
		size_t value = strtoul(data + end, NULL, 10);
		size_t size = digits_of(value) + strlen(":") + value + strlen(",");
		if (end + size > max_bytes)
			break;
		end += size;
	}
	return end;
}
