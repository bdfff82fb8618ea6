/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_TARGET_H
#define PBXPUSH_DAEMON_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include <pbxpush/core/call.h>
#include <pbxpush/core/ports.h>

/*
 * One device that an event is about, and the push to it (push.c). Times in *_us are monotonic. The
 * owner of a target is what the event became: a callee of a call, or news.
 */

struct flow;
struct push; /* one push in flight, push.c */
struct target;

/* A payload that APNs found too large (413) is sent once more with room for the essentials only. */
#define PUSH_SHRUNK_MAX_BYTES 1024

struct push_owner {
	const char *call_id; /* whose story the push belongs to, NULL: nobody's */
	const char *user;    /* the AOR that the devices belong to */
	int64_t read_us;     /* when the event was read */

	/* Fills what depends on the event: priority, expiration, collapse id, payload (borrowed
	 * until send() has returned). shrink: the payload was too large, make it smaller.
	 * Returns the deadline. */
	int64_t (*describe)(struct flow *flow, struct push_owner *owner,
		const struct target *target, bool shrink, struct push_request *request);

	/* False once nothing may be announced any more: then it is not sent again either. */
	bool (*wants)(const struct push_owner *owner, const struct target *target);

	/* The push has ended and the target says how. The owner may go in here. */
	void (*ended)(struct flow *flow, struct push_owner *owner, struct target *target);
};

struct target {
	/* Parts of one block that `name` begins; app "" where it is unknown, token the one that a
	 * push goes to, "" where there is none. */
	char *name;
	const char *app, *contact, *token;
	char *new_contact; /* the one it registered with, owned; then `contact` is that */
	enum push_type push;
	enum push_environment environment;
	bool may_probe; /* `environment = auto`, and the other one has not been tried yet */
	bool learn;     /* `environment = auto`: an accepted push proves the environment */
	bool shrunk;    /* 413: the payload was made smaller, once */
	bool shared;    /* same-phone: another callee of this call wakes this phone */
	bool out;       /* this phone declined: it neither rings nor counts */
	bool dead;      /* this push found the token dead */
	bool rings;     /* the PBX said so: nothing needs to be repeated */
	enum device_result result;
	enum skip_reason skip;
	int status, attempts;
	char reason[40], apns_id[37];
	struct push *in_flight; /* NULL where none is */
	int64_t send_at_us;     /* registered-delay: when the push goes out, 0: it has */
	int64_t accepted_us, ended_us;
	bool registered; /* a REGISTER came after the call */
	int64_t wake_ms; /* -1: it was there before */
};

/* Frees what a target holds. No push of it may be in flight. */
void target_clear(struct target *target);

/* Sends the push of a pending target. False where the transport did not take it: the target has
 * failed. */
bool push_start(struct flow *flow, struct push_owner *owner, struct target *target);

/* Calls a push back. Withdrawn (or not sent yet): the target gets result and skip. Too late: it
 * stays pending, and its owner will hear. */
enum cancel_result push_cancel(
	struct flow *flow, struct target *target, enum device_result result, enum skip_reason skip);

/* The owner is being freed while a push is in flight. */
void push_orphan(struct push *push);

#endif
