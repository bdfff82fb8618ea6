/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pbxpush/base/clock.h>

#include "progress.h"

#define REDRAW_US 100000
#define BAR_WIDTH 40

void progress_begin(struct progress *progress, const char *verb, size_t total, bool quiet)
{
	const char *term = getenv("TERM");

	*progress = (struct progress){
		.verb = verb,
		.total = total,
		.shown = !quiet && isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0,
	};
}

void progress_show(struct progress *progress, size_t done)
{
	char bar[BAR_WIDTH + 1];
	int64_t now_us;

	if (!progress->shown)
		return;
	now_us = clock_mono_us();
	if (now_us < progress->next_us)
		return;
	progress->next_us = now_us + REDRAW_US;
	progress->drawn = true;
	if (!progress->total) {
		fprintf(stderr, "\r%s %zu\033[K", progress->verb, done);
		return;
	}
	memset(bar, ' ', BAR_WIDTH);
	memset(bar, '#', done * BAR_WIDTH / progress->total);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r[%s] %3zu%%  %s %zu of %zu\033[K", bar, done * 100 / progress->total,
		progress->verb, done, progress->total);
}

void progress_clear(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
	progress->next_us = 0;
}
