/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_REPEAT_H
#define TESTS_UNIT_REPEAT_H

#include <stdlib.h>
#include <string.h>

/* count times unit; freed by the caller */
static inline char *repeat(const char *unit, size_t count)
{
	size_t len = strlen(unit);
	char *out = malloc(len * count + 1);

	if (!out)
		abort();
	for (size_t i = 0; i < count; i++)
		memcpy(out + i * len, unit, len);
	out[len * count] = '\0';
	return out;
}

#endif
