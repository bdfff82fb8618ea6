/* SPDX-License-Identifier: MIT */
#ifndef CTL_NEAREST_H
#define CTL_NEAREST_H

#include <stddef.h>

#define NEAREST_SIZE 64

/* Which of many words somebody who wrote `word` may have meant. Set word, zero the rest. */
struct nearest {
	const char *word;
	char best[NEAREST_SIZE]; /* "" while nothing is near enough */
	size_t distance;         /* of best */
};

/* Looks at one candidate (copied where it is the nearest so far). */
void nearest_offer(struct nearest *nearest, const char *candidate);

#endif
