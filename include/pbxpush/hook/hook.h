/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_HOOK_HOOK_H
#define PBXPUSH_HOOK_HOOK_H

#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/hook_event.h>

struct event_base;

/*
 * The web hook: events are POSTed to the PBX's own web application, each until it is taken
 * ([hook], pbxpush.conf(5)). Deliveries wait in memory, bounded in number and bytes; a full queue
 * refuses the newest. Each is tried for an hour, with a delay that grows; while the application
 * fails one at a time is tried, so that a long queue does not bury it. They may overtake one
 * another, and one whose answer was lost comes twice, under the same id.
 *
 * libcurl moves the bytes on the event loop; names are looked up on a thread of its own. One
 * thread.
 */
struct hook;

/* Strings are copied. */
struct hook_options {
	const char *url;     /* as hook_check_url() takes it, not empty */
	const char *token;   /* NULL: no Authorization */
	const char *ca_file; /* "": the system's certificates */
};

/* What became of one of them. outcome: `delivered` `retried` `refused` `expired` `dropped`. */
struct hook_observer {
	void *arg;
	void (*outcome)(void *arg, enum hook_event_type type, const char *outcome);
};

/* Failures are those of memory. */
enum err hook_new(struct event_base *base, const struct hook_options *options,
	const struct hook_observer *observer, struct hook **out);

/* After a reload. Nothing is sent with the old options any more: what is under way is taken back
 * and, like everything that waits, tried at once with the new ones. On failure nothing changed. */
enum err hook_reconfigure(struct hook *hook, const struct hook_options *options);

/* Takes an event; borrowed for the call. Sends nothing from inside. */
void hook_post(struct hook *hook, const struct hook_event *event);

struct hook_stats {
	const char *state;      /* `untried` `works` `fails` `refuses` */
	const char *last_error; /* "" where there was none since it last worked; borrowed */
	size_t queued;          /* waiting and under way */
	uint64_t delivered, refused, expired, dropped;
};

void hook_stats(const struct hook *hook, struct hook_stats *out);

/* What is queued is lost, and the log says how many. Accepts NULL. */
void hook_free(struct hook *hook);

#endif
