/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_CALLER_H
#define PBXPUSH_DAEMON_CALLER_H

#include <pbxpush/core/event.h>
#include <pbxpush/core/number.h>
#include <pbxpush/core/options.h>

/* Who is calling or writing, as one app may show it. Borrowed from the event and the
 * configuration. */
struct caller {
	const char *name, *number,
		*uri;           /* NULL where there is none, or [app] caller-id keeps it in */
	const char *fallback;   /* never empty: what to show where both are missing */
	bool withheld;          /* the caller does not want to be known */
	char text[NUMBER_SIZE]; /* where number points to, if it was rewritten */
};

/* app may be NULL: nothing is kept in. */
void caller_fill(const struct call_event *event, const struct config *config,
	const struct number_rules *rules, const struct config_app *app, struct caller *out);

/* The number by which lists see the caller: normalized, or "anonymous". False where there is
 * none. */
bool caller_key(
	const struct call_event *event, const struct number_rules *rules, char out[NUMBER_SIZE]);

#endif
