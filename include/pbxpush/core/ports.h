/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_PORTS_H
#define PBXPUSH_CORE_PORTS_H

#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/event.h>
#include <pbxpush/core/hook_event.h>
#include <pbxpush/core/push.h>

/*
 * The interfaces through which src/daemon joins modules that do not know each other. Everything
 * here runs on the thread of the event loop.
 */

/* ---- transport: src/apns gives it, the call flow uses it ---- */

typedef void push_done_fn(void *arg, const struct push_result *result);

enum cancel_result {
	CANCEL_WITHDRAWN, /* surely not sent: `done` never runs */
	CANCEL_TOO_LATE,  /* written already: `done` still runs, so that a 410 is not lost */
	CANCEL_UNKNOWN,   /* no such ticket: finished, or never was */
};

struct transport {
	void *self;

	/*
	 * Takes a push. done(arg, result) runs exactly once, never from inside send(), at the
	 * latest soon after deadline_us (monotonic; PUSH_NOT_SENT or PUSH_AMBIGUOUS then). Returns
	 * a ticket above 0, or 0 when the queue is full or memory is short (`done` never runs).
	 */
	uint64_t (*send)(void *self, const struct push_request *request, int64_t deadline_us,
		push_done_fn *done, void *arg);

	/* Calls a push back. A ticket is a number: a stale one is harmless. */
	enum cancel_result (*cancel)(void *self, uint64_t ticket);
};

/* ---- event sink: the call flow gives it, src/pbx uses it ---- */

struct reply_port;

/* Whom a reply goes to: a front end, and within it a number, so that an answer to a client that
 * left is harmless. */
struct reply_to {
	const struct reply_port *port; /* outlives the sink */
	uint64_t client;
};

enum client_role {
	ROLE_CALLS, /* calls and registrations */
	ROLE_ADMIN, /* policy, `forget` and bulk changes too */
};

struct event_sink {
	void *self;

	/*
	 * One line without its end, len bytes, borrowed for the call. The sink answers exactly
	 * once, at once or later, through to.port.
	 * read_us: monotonic time at which the line was read.
	 */
	void (*line)(void *self, struct reply_to to, enum client_role role, const char *line,
		size_t len, int64_t read_us);

	/* A line over max-line arrived; its content is gone. Answered like any other. */
	void (*too_long)(void *self, struct reply_to to);
};

/* ---- reply port: src/pbx gives one a front end, the call flow uses it ---- */

struct reply_port {
	void *self;
	/* code: what the text says. text: one JSON object without a line end, copied. */
	void (*reply)(void *self, struct reply_to to, enum event_error_code code, const char *text,
		size_t len);
};

/* ---- hook: src/hook gives it, the call flow uses it ---- */

struct hook_port {
	void *self;
	/* Takes an event on its way to the PBX's web application; borrowed for the call. What
	 * cannot be kept is counted. */
	void (*tell)(void *self, const struct hook_event *event);
};

#endif
