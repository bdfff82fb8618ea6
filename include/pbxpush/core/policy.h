/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_POLICY_H
#define PBXPUSH_CORE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include <pbxpush/core/call.h>

/* What the PBX says about the call, as far as policy cares. */
struct policy_call {
	bool dnd, blocked;   /* the PBX knows it already */
	bool bypass;         /* emergency call-back: rings in spite of lists, DND and busy */
	bool anonymous;      /* the caller withholds the number */
	int64_t deadline_ms; /* Unix ms */
};

/* What is known of the called user, for this caller. */
struct policy_subscriber {
	const char *allowed_by; /* the list entry that lets the caller through, or NULL */
	const char *blocked_by; /* the list entry that blocks the number, or NULL */
	bool blocks_anonymous;  /* a list that applies holds `anonymous` */
	bool dnd;               /* of the user, not of one device */
	int64_t dnd_until_ms;   /* 0: without end */
	bool dnd_schedule;      /* a window of the weekly schedule is open */
	bool repeated;          /* DND silenced this caller a moment ago, who tries again */
	bool busy;              /* in an answered call */
	bool call_waiting;      /* a second call may ring all the same */
	enum call_state ended;  /* an end that overtook this call, else CALL_RINGING */
};

struct policy_decision {
	bool ring;            /* false: verdict and rule say why not */
	enum verdict verdict; /* VERDICT_PUSH where it may ring */
	enum rule rule;
	const char
		*matched; /* the list entry that decided, or NULL; borrowed from the subscriber */
};

/*
 * The decision before the push, in the order of CONTRACT 2.3: pbx-*, stale, ended, block lists,
 * DND, busy. An allowed caller passes lists and DND, a repeated one DND; bypass skips lists, DND
 * and busy.
 * now_ms: Unix ms.
 */
struct policy_decision policy_decide(
	const struct policy_call *call, const struct policy_subscriber *subscriber, int64_t now_ms);

/* True when a do-not-disturb that is on until until_ms (0: without end) holds at now_ms. */
bool policy_dnd_holds(bool on, int64_t until_ms, int64_t now_ms);

#endif
