/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "nearest.h"

/* Letters changed, added or left out (Levenshtein). Both are shorter than NEAREST_SIZE. */
static size_t edit_distance(const char *a, const char *b)
{
	size_t row[NEAREST_SIZE], len = strlen(b);

	for (size_t j = 0; j <= len; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < len; j++) {
			size_t best = diagonal + (a[i] != b[j]);

			diagonal = row[j + 1];
			if (diagonal + 1 < best)
				best = diagonal + 1;
			if (row[j] + 1 < best)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[len];
}

void nearest_offer(struct nearest *nearest, const char *candidate)
{
	size_t len = strlen(nearest->word), distance;

	if (len >= NEAREST_SIZE || strlen(candidate) >= NEAREST_SIZE)
		return;
	distance = edit_distance(nearest->word, candidate);
	/* two slips, and never so many that nothing of the word is left */
	if (distance > 2 || distance >= len || (nearest->best[0] && distance >= nearest->distance))
		return;
	snprintf(nearest->best, sizeof(nearest->best), "%s", candidate);
	nearest->distance = distance;
}
