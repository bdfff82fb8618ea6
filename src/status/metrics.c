/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <pbxpush/base/map.h>
#include <pbxpush/status/metrics.h>

#include "process_metrics.h"

#define METRIC_SERIES_MAX      1000 /* a metric */
#define METRIC_LABEL_BYTES_MAX 128  /* what is longer is cut */
#define METRIC_BUCKETS_MAX     16

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

static const int64_t push_buckets_us[] = {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000,
	100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
static const int64_t wake_buckets_us[] = {100000, 250000, 500000, 1000000, 1500000, 2000000,
	3000000, 4000000, 5000000, 7500000, 10000000, 15000000, 20000000, 30000000};

#define COUNTER(title, text, ...)                                                                  \
	{                                                                                          \
		.name = title, .type = METRIC_COUNTER, .help = text, .labels = { __VA_ARGS__ }     \
	}
#define GAUGE(title, text, ...)                                                                    \
	{                                                                                          \
		.name = title, .type = METRIC_GAUGE, .help = text, .labels = { __VA_ARGS__ }       \
	}
#define HISTOGRAM(title, text, buckets)                                                            \
	{                                                                                          \
		.name = title, .type = METRIC_HISTOGRAM, .help = text, .buckets_us = buckets,      \
		.bucket_count = sizeof(buckets) / sizeof(buckets[0])                               \
	}

static const struct metric_info {
	const char *name, *help;
	enum metric_type type;
	const char *labels[METRIC_LABELS_MAX];
	const int64_t *buckets_us;
	size_t bucket_count;
} metric_table[METRIC_COUNT] = {
	[METRIC_BUILD_INFO] =
		GAUGE("pbxpush_build_info", "Always 1; the version is in the label.", "version"),
	[METRIC_EVENTS] = COUNTER("pbxpush_events_total",
		"Events received, by what became of them.", "event", "outcome"),
	[METRIC_CALLS] = GAUGE("pbxpush_calls", "Calls known now, live and remembered.", "state"),
	[METRIC_VERDICTS] =
		COUNTER("pbxpush_verdicts_total", "Decisions about calls.", "verdict", "rule"),
	[METRIC_PUSHES] = COUNTER("pbxpush_pushes_total", "Pushes that came to an end.", "app",
		"environment", "type", "result", "reason"),
	[METRIC_PUSH_SECONDS] = HISTOGRAM("pbxpush_push_seconds",
		"From reading an event to the push service's answer.", push_buckets_us),
	[METRIC_SEND_SECONDS] = HISTOGRAM("pbxpush_send_seconds",
		"From reading an event to the written request.", push_buckets_us),
	[METRIC_WAKE_SECONDS] = HISTOGRAM("pbxpush_wake_seconds",
		"From an accepted push to the phone's REGISTER.", wake_buckets_us),
	[METRIC_CONNECTIONS] = GAUGE("pbxpush_connections", "Connections to the push service.",
		"team", "key", "environment", "state"),
	[METRIC_STREAMS] = GAUGE(
		"pbxpush_streams", "Pushes on the wire, unanswered.", "team", "key", "environment"),
	[METRIC_STREAM_LIMIT] = GAUGE("pbxpush_stream_limit",
		"Pushes that the service allows on the wire.", "team", "key", "environment"),
	[METRIC_GOAWAY] = COUNTER("pbxpush_goaway_total",
		"GOAWAYs of the service, each reason once a connection.", "reason"),
	[METRIC_RETRIES] = COUNTER("pbxpush_retries_total", "Pushes sent once more.", "reason"),
	[METRIC_TOKEN_AGE] = GAUGE("pbxpush_provider_token_age_seconds",
		"Age of the signed provider token.", "team", "key"),
	[METRIC_DIRECTORY_DEVICES] =
		GAUGE("pbxpush_directory_devices", "Devices in the directory.", "state"),
	[METRIC_CLIENTS] =
		GAUGE("pbxpush_clients", "Clients of the event socket and over HTTP.", NULL),
	[METRIC_EVAPI_CONNECTED] = GAUGE("pbxpush_evapi_connected",
		"1 while the connection to Kamailio's evapi stands.", NULL),
	[METRIC_HOOK] = COUNTER("pbxpush_hook_total",
		"Web hook deliveries by what became of them; retried counts tries.", "event",
		"outcome"),
	[METRIC_HOOK_QUEUED] = GAUGE(
		"pbxpush_hook_queued", "Events that the web application has not taken yet.", NULL),
};

_Static_assert(sizeof(push_buckets_us) <= METRIC_BUCKETS_MAX * sizeof(int64_t) &&
		       sizeof(wake_buckets_us) <= METRIC_BUCKETS_MAX * sizeof(int64_t),
	"metric_state has a place for each bucket");

/* One combination of label values. */
struct series {
	struct map_node node;
	STAILQ_ENTRY(series) link;
	union {
		uint64_t count; /* of a counter */
		double value;   /* of a gauge */
	};
	size_t key_bytes;
	char key[]; /* the label values, each with its NUL */
};

struct metric_state {
	struct map map;
	struct series *recent;                    /* what was counted last, or NULL */
	STAILQ_HEAD(, series) all;                /* in the order of their first use */
	uint64_t buckets[METRIC_BUCKETS_MAX + 1]; /* not cumulated; the last is +Inf */
	uint64_t sum_us;
};

struct metrics {
	struct metric_state states[METRIC_COUNT];
};

enum err metrics_new(struct metrics **out)
{
	struct metrics *metrics = calloc(1, sizeof(*metrics));

	if (!metrics)
		return ERR_NOMEM;
	for (size_t i = 0; i < METRIC_COUNT; i++)
		STAILQ_INIT(&metrics->states[i].all);
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		if (map_init(&metrics->states[i].map)) {
			metrics_free(metrics);
			return ERR_NOMEM;
		}
	}
	*out = metrics;
	return ERR_OK;
}

void metrics_clear(struct metrics *metrics, enum metric metric)
{
	struct metric_state *state = &metrics->states[metric];
	struct series *series;

	state->recent = NULL;
	while ((series = STAILQ_FIRST(&state->all))) {
		STAILQ_REMOVE_HEAD(&state->all, link);
		map_remove(&state->map, &series->node);
		free(series);
	}
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		metrics_clear(metrics, (enum metric)i);
		map_free(&metrics->states[i].map);
	}
	free(metrics);
}

static bool series_has_key(const struct map_node *node, const void *key, size_t len)
{
	const struct series *series = map_entry(node, const struct series, node);

	return series->key_bytes == len && !memcmp(series->key, key, len);
}

struct series_key {
	size_t len;
	char bytes[METRIC_LABELS_MAX * METRIC_LABEL_BYTES_MAX];
};

/* `same` stands in for every label where labels is NULL. */
static void series_key_make(struct series_key *key, const struct metric_info *info,
	const char *const *labels, const char *same)
{
	key->len = 0;
	for (size_t i = 0; i < METRIC_LABELS_MAX && info->labels[i]; i++) {
		const char *label = labels ? labels[i] : same;
		size_t len = label ? strnlen(label, METRIC_LABEL_BYTES_MAX - 1) : 0;
		if (len)
			memcpy(key->bytes + key->len, label, len);
		key->len += len;
		key->bytes[key->len++] = '\0';
	}
}

static struct series *series_find(const struct metric_state *state, const struct series_key *key)
{
	struct map_node *node = map_find(&state->map, key->bytes, key->len, series_has_key);

	return node ? map_entry(node, struct series, node) : NULL;
}

/* The series with these labels, made where it is new. NULL when memory is short. */
static struct series *metrics_series(
	struct metrics *metrics, enum metric metric, const char *const *labels)
{
	const struct metric_info *info = &metric_table[metric];
	struct metric_state *state = &metrics->states[metric];
	struct series_key key;
	struct series *series;

	series_key_make(&key, info, labels, "");
	series = state->recent; /* most calls count what the one before them did */
	if (series && series->key_bytes == key.len && !memcmp(series->key, key.bytes, key.len))
		return series;
	series = series_find(state, &key);
	if (!series && state->map.count >= METRIC_SERIES_MAX) {
		series_key_make(&key, info, NULL, "other");
		series = series_find(state, &key);
	}
	if (series) {
		state->recent = series;
		return series;
	}
	series = calloc(1, sizeof(*series) + key.len);
	if (!series)
		return NULL;
	series->key_bytes = key.len;
	memcpy(series->key, key.bytes, key.len);
	map_add(&state->map, &series->node, map_hash(key.bytes, key.len));
	STAILQ_INSERT_TAIL(&state->all, series, link);
	return series;
}

void metrics_add(struct metrics *metrics, enum metric metric, uint64_t n, const char *const *labels)
{
	if (metric_table[metric].type != METRIC_COUNTER)
		return;
	struct series *series = metrics_series(metrics, metric, labels);
	if (series)
		series->count += n;
}

void metrics_set(
	struct metrics *metrics, enum metric metric, double value, const char *const *labels)
{
	if (metric_table[metric].type != METRIC_GAUGE)
		return;
	struct series *series = metrics_series(metrics, metric, labels);
	if (series)
		series->value = value;
}

void metrics_observe_us(struct metrics *metrics, enum metric metric, int64_t us)
{
	const struct metric_info *info = &metric_table[metric];
	struct metric_state *state = &metrics->states[metric];
	size_t i = 0;

	if (us < 0)
		us = 0;
	while (i < info->bucket_count && us > info->buckets_us[i])
		i++;
	state->buckets[i]++;
	state->sum_us += (uint64_t)us;
}

/* ---- the text ---- */

static void write_double(struct buf *out, double value)
{
	if (value > -1e15 && value < 1e15 && value == (double)(long long)value)
		buf_add_int(out, (long long)value);
	else
		buf_printf(out, "%.6f", value);
}

/* Exposition format 0.0.4: backslash, quote and line feed are escaped within label values. */
static void write_label(struct buf *out, const char *name, const char *value)
{
	buf_add_str(out, name);
	buf_add_str(out, "=\"");
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			buf_add_char(out, '\\');
		if (*value == '\n')
			buf_add_str(out, "\\n");
		else
			buf_add_char(out, *value);
	}
	buf_add_char(out, '"');
}

static void write_series(
	struct buf *out, const struct metric_info *info, const struct series *series)
{
	const char *value = series->key;

	buf_add_str(out, info->name);
	for (size_t i = 0; i < METRIC_LABELS_MAX && info->labels[i]; i++) {
		buf_add_char(out, i ? ',' : '{');
		write_label(out, info->labels[i], value);
		value += strlen(value) + 1;
	}
	buf_add_str(out, info->labels[0] ? "} " : " ");
	if (info->type == METRIC_COUNTER)
		buf_printf(out, "%llu", (unsigned long long)series->count);
	else
		write_double(out, series->value);
	buf_add_char(out, '\n');
}

static void write_histogram(
	struct buf *out, const struct metric_info *info, const struct metric_state *state)
{
	unsigned long long total = 0;

	for (size_t i = 0; i <= info->bucket_count; i++) {
		total += state->buckets[i];
		buf_printf(out, "%s_bucket{le=\"", info->name);
		if (i < info->bucket_count)
			buf_printf(out, "%g", (double)info->buckets_us[i] / 1e6);
		else
			buf_add_str(out, "+Inf");
		buf_printf(out, "\"} %llu\n", total);
	}
	buf_printf(out, "%s_sum %llu.%06llu\n", info->name,
		(unsigned long long)state->sum_us / 1000000,
		(unsigned long long)state->sum_us % 1000000);
	buf_printf(out, "%s_count %llu\n", info->name, total);
}

static const char *type_name(enum metric_type type)
{
	switch (type) {
	case METRIC_COUNTER:
		return "counter";
	case METRIC_GAUGE:
		return "gauge";
	case METRIC_HISTOGRAM:
		return "histogram";
	}
	return "untyped";
}

void metrics_write(struct metrics *metrics, struct buf *out)
{
	metrics_set(metrics, METRIC_BUILD_INFO, 1, (const char *const[]){PBXPUSH_VERSION});
	for (size_t i = 0; i < METRIC_COUNT; i++) {
		const struct metric_info *info = &metric_table[i];
		const struct metric_state *state = &metrics->states[i];
		const struct series *series;

		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", info->name, info->help, info->name,
			type_name(info->type));
		STAILQ_FOREACH (series, &state->all, link)
			write_series(out, info, series);
		if (info->type == METRIC_HISTOGRAM)
			write_histogram(out, info, state);
	}
	process_metrics_write(out);
}
