/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_STATUS_METRICS_H
#define PBXPUSH_STATUS_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

/*
 * The figures of CONTRACT 5 in Prometheus' text format. One table in metrics.c declares each
 * metric's name, type, help and label names, in the order of this enum.
 */
enum metric {
	METRIC_BUILD_INFO,        /* version */
	METRIC_EVENTS,            /* event, outcome */
	METRIC_CALLS,             /* state */
	METRIC_VERDICTS,          /* verdict, rule */
	METRIC_PUSHES,            /* app, environment, type, result, reason */
	METRIC_PUSH_SECONDS,      /* histogram */
	METRIC_SEND_SECONDS,      /* histogram */
	METRIC_WAKE_SECONDS,      /* histogram */
	METRIC_CONNECTIONS,       /* team, key, environment, state */
	METRIC_STREAMS,           /* team, key, environment */
	METRIC_STREAM_LIMIT,      /* team, key, environment */
	METRIC_GOAWAY,            /* reason */
	METRIC_RETRIES,           /* reason */
	METRIC_TOKEN_AGE,         /* team, key */
	METRIC_DIRECTORY_DEVICES, /* state */
	METRIC_CLIENTS,
	METRIC_EVAPI_CONNECTED,
	METRIC_HOOK, /* event, outcome */
	METRIC_HOOK_QUEUED,
	METRIC_COUNT
};

#define METRIC_LABELS_MAX 5

struct metrics;

enum err metrics_new(struct metrics **out);

/* Accepts NULL. */
void metrics_free(struct metrics *metrics);

/*
 * labels: as many values as the table has names, NULL counts as "". A series is made at its first
 * use; a metric holds at most 1,000 (label values come from known sets; the bound is for what we
 * overlooked), and counts beyond that go to a series whose labels are all "other". Values are cut
 * at 127 bytes. metrics_add() counts in a counter, metrics_set() sets a gauge; each leaves the
 * other types alone.
 */
void metrics_add(
	struct metrics *metrics, enum metric metric, uint64_t n, const char *const *labels);
void metrics_set(
	struct metrics *metrics, enum metric metric, double value, const char *const *labels);

/* Forgets every series of a gauge, before it is set anew at a scrape. */
void metrics_clear(struct metrics *metrics, enum metric metric);

/* A duration for a histogram; below 0 counts as 0. */
void metrics_observe_us(struct metrics *metrics, enum metric metric, int64_t us);

/* Everything, process_* included. */
void metrics_write(struct metrics *metrics, struct buf *out);

#endif
