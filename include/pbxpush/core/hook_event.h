/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_HOOK_EVENT_H
#define PBXPUSH_CORE_HOOK_EVENT_H

#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/core/push.h>
#include <pbxpush/core/reply.h>

/* What the PBX's own web application is told of: the bodies that [hook] url receives. */
enum hook_event_type {
	HOOK_DEAD_TOKEN,  /* a device's token died */
	HOOK_NO_REGISTER, /* a push was accepted, and nobody registered until the deadline */
	HOOK_MISSED_CALL, /* a call ended unanswered */
};

/* Strings are borrowed. */
struct hook_event {
	enum hook_event_type type;
	int64_t at_ms;    /* Unix ms at which it happened */
	const char *user; /* AOR; the callee of a call. NULL: null */

	/* HOOK_DEAD_TOKEN: the push that found it */
	const char *device, *app, *token; /* of the token PUSH_TOKEN_SHOWN characters are written */
	enum push_type push;
	enum push_environment environment;
	int status;
	const char *reason;
	int64_t died_ms; /* as a 410 says it, 0: null */

	/* of a call */
	const char *call, *uuid;
	int attempt;
	int64_t started_ms;

	/* HOOK_NO_REGISTER: as in the reply to a call */
	const struct reply_device *devices;
	size_t device_count;

	/* HOOK_MISSED_CALL. number: "anonymous" where it is withheld; both NULL: `from` is null */
	const char *from_number, *from_name;
	const char *state; /* `cancelled`, `timeout`, or `rejected` with rule */
	const char *rule;  /* NULL: null */
};

/* `dead-token`, `no-register`, `missed-call`. */
const char *hook_event_name(enum hook_event_type type);

/* Appends one JSON object. id: of the delivery, the same at every try. */
void hook_event_write(const struct hook_event *event, const char *id, struct buf *out);

#endif
