/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_PUSH_H
#define PBXPUSH_CORE_PUSH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 512 hex digits and a NUL. Apple: "don't make assumptions about device token size". */
#define PUSH_TOKEN_SIZE  513
/* Characters of a token that may be shown. */
#define PUSH_TOKEN_SHOWN 8

#define PUSH_VOIP_MAX_BYTES  5120 /* Apple: VoIP payload */
#define PUSH_ALERT_MAX_BYTES 4096 /* Apple: every other payload */

enum push_type { PUSH_VOIP, PUSH_ALERT, PUSH_BACKGROUND };
enum push_environment { PUSH_PRODUCTION, PUSH_SANDBOX };

/* The names that stand in headers, replies and metrics. Static strings. */
const char *push_type_name(enum push_type type);
const char *push_environment_name(enum push_environment environment);

/*
 * One push, complete: the transport needs nothing else. Every string is borrowed for the length of
 * transport.send(), which copies what it keeps.
 */
struct push_request {
	char apns_id[37]; /* lower-case UUID; the same in every attempt at this push */
	enum push_type type;
	enum push_environment environment;
	int priority;            /* 10, 5 or 1 */
	int64_t expiration_s;    /* Unix seconds; 0: now or never */
	const char *collapse_id; /* at most 64 bytes, or NULL */
	const char *app;         /* bundle id; the topic and the key follow from it */
	const char *token;       /* hex, lower case */
	const char *payload;
	size_t payload_len;
	int64_t read_us; /* monotonic time at which the event was read, for the latency figures */
};

/* What the caller has to do next, which is all that the many answers of a push service mean. */
enum push_class {
	PUSH_ACCEPTED,        /* 200 */
	PUSH_REJECTED_TOKEN,  /* the token is dead, or of the other environment: see reason */
	PUSH_REJECTED_CONFIG, /* our key, topic, clock or request is wrong: alarm, keep the token */
	PUSH_REJECTED_SIZE,   /* 413: shrink and send once more */
	PUSH_REJECTED_BUSY,   /* 429, 5xx until the deadline */
	PUSH_NOT_SENT,        /* surely never processed: safe to send again */
	PUSH_AMBIGUOUS,       /* written, and no answer: it may have arrived */
};

/* How a push ended. Valid inside the `done` callback; no pointers. */
struct push_result {
	enum push_class class;
	int status;           /* HTTP status, 0 where there was no answer */
	char reason[40];      /* APNs reason of the known set or "other"; without answer one of
	                        timeout connection tls dns proxy; "" where there is none */
	char apns_id[37];     /* as the push service gave it, else ours */
	int64_t timestamp_ms; /* of a 410: when the token died, Unix ms; 0 where absent */
	int attempts;         /* times it was handed to a connection */
	int64_t written_us;   /* monotonic time of the last write to a socket, 0: never */
	int64_t done_us;      /* monotonic time of the answer or of giving up */
};

#endif
