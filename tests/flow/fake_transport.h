/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_FAKE_TRANSPORT_H
#define TESTS_FLOW_FAKE_TRANSPORT_H

#include <pbxpush/core/ports.h>

/*
 * A transport that keeps every push until the test says how it ended. It holds each push against
 * the rules that never bend (CONTRACT 2.1): an id of its own, one push a token and call, a VoIP
 * push only for a call and only before its deadline.
 */
struct fake_transport;

struct fake_push {
	uint64_t ticket;
	struct push_request request; /* its strings are those below */
	char *app, *token, *payload, *collapse_id;
	char *uuid; /* of the payload */
	int64_t deadline_us;
	bool written;   /* a cancel comes too late */
	bool cancelled; /* withdrawn */
	bool over;      /* `done` has run, or never will */
	bool accepted;
	bool seen; /* the test has looked at it */
	push_done_fn *done;
	void *arg;
};

struct fake_transport *fake_transport_new(void);

/* Ends what is still outstanding, as apns_free() does. */
void fake_transport_shut_down(struct fake_transport *transport);
void fake_transport_free(struct fake_transport *transport);

const struct transport *fake_transport_port(struct fake_transport *transport);

/* A full queue takes nothing. */
void fake_transport_set_full(struct fake_transport *transport, bool full);

/* The oldest push that the test has not seen; with a token, to this token only. NULL: there is
 * none. */
struct fake_push *fake_transport_unseen(struct fake_transport *transport, const char *token);

/* The latest push to a token that the test has seen, or NULL. */
struct fake_push *fake_transport_latest(struct fake_transport *transport, const char *token);

/* Ends a push that is outstanding. status 0: no answer came, class says how sure that is. */
void fake_transport_answer(struct fake_push *push, int status, const char *reason,
	int64_t timestamp_ms, enum push_class class);

#endif
