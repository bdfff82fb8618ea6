/* SPDX-License-Identifier: MIT */
#ifndef CTL_PROGRESS_H
#define CTL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far a long work is, on the last line of the terminal that is stderr. Nothing elsewhere. */
struct progress {
	const char *verb; /* "imported" */
	size_t total;     /* 0: not known */
	bool shown;       /* there is somebody to see it */
	bool drawn;       /* the line is there */
	int64_t next_us;  /* not drawn again before */
};

/* verb is borrowed. quiet: stdout is full of what is being done, and on the same terminal. */
void progress_begin(struct progress *progress, const char *verb, size_t total, bool quiet);

void progress_show(struct progress *progress, size_t done);

/* Takes the line away: before something else is written, and at the end. */
void progress_clear(struct progress *progress);

#endif
