/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_CALLS_H
#define PBXPUSH_DAEMON_CALLS_H

#include <sys/queue.h>

#include <pbxpush/base/heap.h>
#include <pbxpush/base/map.h>
#include <pbxpush/core/device.h>
#include <pbxpush/core/event.h>
#include <pbxpush/core/ports.h>

#include "target.h"

/*
 * The table of calls. A `call` is a Call-ID; under it there is a `callee` for each user and attempt
 * that the PBX asked about; a callee has a `target` for each device. Times in *_us are monotonic,
 * in *_ms Unix.
 */

/* A client that waits for the answer to a `call`. */
struct waiter {
	STAILQ_ENTRY(waiter) entry;
	struct reply_to to;
	const char *id;          /* JSON text of the event's id, or NULL */
	const char *device;      /* report this device only, or NULL */
	struct event_line *line; /* which both are parts of */
	enum wait_mode wait;
	int64_t until_us;
	bool duplicate;
};

struct callee {
	struct map_node by_user, by_uuid;
	TAILQ_ENTRY(callee) of_call;
	TAILQ_ENTRY(callee) of_age; /* in the table's list of live or of ended ones */
	struct heap_node due;
	struct call *call;
	char uuid[UUID_SIZE];
	int attempt; /* 0: an `end` that overtook its call; it stands for every attempt */
	enum call_state state;
	char *answered_by; /* device that answered, or declined for all; owned, or NULL */
	bool busy;         /* the user is in this call until it ends */

	enum verdict decided; /* VERDICT_PUSH, or why nothing rang */
	enum rule rule;
	char *silenced; /* number of the caller whom do-not-disturb kept out, owned, or NULL */
	struct call_event
		*event;  /* kept, while pushes or news may still be written from it, else NULL */
	int64_t read_us; /* when the event was read */
	int64_t started_ms, deadline_ms, deadline_us, ended_ms;
	int64_t forget_us; /* when an ended, or an answered one whose end was lost, is forgotten */
	bool truncated;

	struct push_owner owner; /* of the targets' pushes */
	struct target *targets;
	size_t target_count;
	bool present;    /* a phone without push data is registered */
	bool overloaded; /* the transport's queue was full */
	bool woken;      /* a REGISTER that identifies nothing came */
	int64_t wake_ms;
	char *contact; /* of that REGISTER or that phone, owned, or NULL */
	STAILQ_HEAD(, waiter) waiters;
	struct waiter first_waiter; /* in use where its line is set; most calls have no other */
	size_t waiter_count;
	char user[];
};

TAILQ_HEAD(callee_list, callee);

struct call {
	struct map_node by_id;
	struct heap_node due; /* only while it has no callee: an end that overtook its call */
	struct callee_list callees;
	/* An `answer` or `end` for every user: later events of attempts up to over_attempt are
	 * over too. */
	bool over;
	enum call_state over_state;
	int64_t over_attempt;
	char id[];
};

struct calls {
	struct map by_id, by_user;
	struct map by_uuid; /* of those who ask by uuid: kept from the first who does */
	bool has_uuids;
	struct callee_list live, ended; /* oldest first */
	size_t live_count, answered_count, ended_count;
	struct heap due;  /* of callees */
	struct heap bare; /* of calls without callees */
};

/* expected: for how many calls there shall be room from the beginning. */
enum err calls_init(struct calls *calls, size_t expected);
void calls_free(struct calls *calls);

struct call *calls_find(const struct calls *calls, const char *id);

/* Adds a call that is not there. NULL: no memory. */
struct call *calls_add(struct calls *calls, const char *id);

/* The callee of this user and attempt; attempt 0: the latest attempt of the user. NULL where
 * there is none. */
struct callee *call_find_callee(const struct call *call, const char *user, int attempt);

/* The first, or with `after` the next, callee of a user in any call; of a uuid likewise. */
struct callee *calls_of_user(
	const struct calls *calls, const char *user, const struct callee *after);
struct callee *calls_of_uuid(struct calls *calls, const char *uuid, const struct callee *after);

/* Adds a ringing callee. user and uuid are copied. NULL: no memory. */
struct callee *calls_add_callee(struct calls *calls, struct call *call, const char *user,
	const char *uuid, int attempt, int64_t deadline_us);

/* Keeps lists and counts when a callee's state changes; called by callee_set_state() alone. */
void calls_note_state(struct calls *calls, struct callee *callee, enum call_state old);

/* Forgets a callee, and its call with the last one. Nobody may wait for it. */
void calls_remove_callee(struct calls *calls, struct callee *callee);

/* Forgets a call that has no callee. */
void calls_remove_bare(struct calls *calls, struct call *call);

/* The callee needs its event no longer. */
void callee_free_event(struct callee *callee);

/* Target of this name, or with this token; NULL where there is none. Empty strings match
 * nothing. */
struct target *callee_find_target(struct callee *callee, const char *name, const char *token);

/* True while a push is in flight, or one may still be built from the event: also for a phone that
 * another user of the call shares. */
bool callee_has_pushes(const struct callee *callee);

#endif
