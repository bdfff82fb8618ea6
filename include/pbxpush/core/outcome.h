/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_OUTCOME_H
#define PBXPUSH_CORE_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/core/push.h>

/* What the transport may do about an answer before it tells the caller. */
enum outcome_retry {
	RETRY_NO,
	/* once, at once, elsewhere (500, 503, IdleTimeout, UnrelatedKeyIdInToken) */
	RETRY_OTHER_CONNECTION,
	/* once, with a fresh provider token (ExpiredProviderToken) */
	RETRY_NEW_TOKEN,
	/* after a pause, with the same provider token (TooManyProviderTokenUpdates) */
	RETRY_SAME_TOKEN_LATER,
	/* after Retry-After or a backoff (TooManyRequests: this device only) */
	RETRY_DEVICE_LATER,
};

struct outcome {
	/* Of the known set; "other" for any other body; "" for an empty one and for 200. Static. */
	const char *reason;
	enum push_class class;
	enum outcome_retry retry;
	/* A configuration fault: the route raises its alarm, with a `retry` once that failed. */
	bool alarm;
	int64_t timestamp_ms; /* from the body of a 410, 0 where absent */
};

/* Longest answer body we read; more is cut and judged by the status alone. */
#define OUTCOME_BODY_MAX 4096

/*
 * Classes an answer of APNs (the table of Apple's "Handling notification responses", with the
 * spellings seen in the field). The status alone decides where body is garbage or names a reason
 * that belongs to another status, and where memory is short.
 */
struct outcome push_outcome_classify(int status, const char *body, size_t body_len);

/* The `reason` in GOAWAY debug data, of the known set or "other"; "" where there is no data.
 * *alarm: it names a fault of the configuration. */
const char *outcome_goaway_reason(const char *data, size_t len, bool *alarm);

/* Known reasons in table order, NULL after the last: for metrics' label sets and the tests. */
const char *outcome_reason_at(size_t index);

/*
 * Exponential backoff with full jitter: a pause between 0 and min(cap, base * 2^attempt).
 * random: any 32 random bits. attempt counts from 0. All in milliseconds.
 */
int64_t retry_backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms, uint32_t random);

#endif
