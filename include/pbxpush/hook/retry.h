/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_HOOK_RETRY_H
#define PBXPUSH_HOOK_RETRY_H

#include <stdint.h>

/* What an answer of the web application means for a delivery. No I/O, no clock. */

#define HOOK_BACKOFF_FIRST_MS 1000
#define HOOK_BACKOFF_MAX_MS   300000

enum hook_answer {
	HOOK_TAKEN,   /* 2xx */
	HOOK_AGAIN,   /* no answer, 408, 429, 5xx: the same delivery later */
	HOOK_REFUSED, /* anything else: the same would be refused again (a redirect is not
			 followed: the token is for the host that was configured) */
};

/* status: of HTTP, below 200 where there was no final answer. */
enum hook_answer hook_judge(int status);

/*
 * How long to wait after the nth failed try (from 1): doubling from a second to five minutes, of
 * which random takes off up to half, so that many do not come back together. retry_after_s: as the
 * answer asked, 0 or less where it did not; longer than five minutes is not waited.
 */
int64_t hook_backoff_ms(int tries, int64_t retry_after_s, uint32_t random);

#endif
