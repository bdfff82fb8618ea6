/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <pbxpush/status/metrics.h>

#define LABELS(...) ((const char *const[]){__VA_ARGS__})

static int setup(void **state)
{
	struct metrics *metrics = NULL;

	assert_int_equal(metrics_new(&metrics), ERR_OK);
	*state = metrics;
	return 0;
}

static int teardown(void **state)
{
	metrics_free(*state);
	metrics_free(NULL);
	return 0;
}

/* The value of a series, as written; NULL (in a static buffer) where the line is missing. */
static const char *value_of(struct metrics *metrics, const char *series)
{
	static char value[64];
	struct buf out = {0};
	char start[512];
	const char *found = NULL;

	metrics_write(metrics, &out);
	assert_false(out.failed);
	snprintf(start, sizeof(start), "\n%s ", series);
	char *at = strstr(out.data, start);
	if (at) {
		snprintf(value, sizeof(value), "%.*s", (int)strcspn(at + strlen(start), "\n"),
			at + strlen(start));
		found = value;
		assert_null(strstr(at + 1, start)); /* a series stands there once */
	}
	buf_free(&out);
	return found;
}

static void expect(struct metrics *metrics, const char *series, const char *value)
{
	const char *found = value_of(metrics, series);

	if (!found || strcmp(found, value) != 0)
		fail_msg("%s: %s instead of %s", series, found ? found : "(missing)", value);
}

static void test_counters(void **state)
{
	struct metrics *m = *state;

	metrics_add(m, METRIC_EVENTS, 1, LABELS("call", "ok"));
	metrics_add(m, METRIC_EVENTS, 2, LABELS("call", "ok"));
	metrics_add(m, METRIC_EVENTS, 1, LABELS("call", "bad-field"));
	metrics_add(m, METRIC_EVENTS, 5, LABELS("callok", NULL)); /* not the same as call, ok */
	metrics_add(m, METRIC_EVENTS, 7, LABELS(NULL, "callok"));
	metrics_add(m, METRIC_PUSHES, 1ULL << 60,
		LABELS("com.example", "sandbox", "voip", "accepted", ""));
	expect(m, "pbxpush_events_total{event=\"call\",outcome=\"ok\"}", "3");
	expect(m, "pbxpush_events_total{event=\"call\",outcome=\"bad-field\"}", "1");
	expect(m, "pbxpush_events_total{event=\"callok\",outcome=\"\"}", "5");
	expect(m, "pbxpush_events_total{event=\"\",outcome=\"callok\"}", "7");
	expect(m,
		"pbxpush_pushes_total{app=\"com.example\",environment=\"sandbox\",type=\"voip\","
		"result=\"accepted\",reason=\"\"}",
		"1152921504606846976"); /* a double would lose its end */
	metrics_add(m, METRIC_PUSHES, 1, LABELS("com.example", "sandbox", "voip", "accepted", ""));
	expect(m,
		"pbxpush_pushes_total{app=\"com.example\",environment=\"sandbox\",type=\"voip\","
		"result=\"accepted\",reason=\"\"}",
		"1152921504606846977");
}

static void test_gauges(void **state)
{
	struct metrics *m = *state;
	const struct {
		double value;
		const char *text;
	} table[] = {
		{0, "0"}, {3, "3"}, {-1, "-1"}, {1234567890, "1234567890"}, {0.25, "0.250000"}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		metrics_set(m, METRIC_CLIENTS, table[i].value, NULL);
		expect(m, "pbxpush_clients", table[i].text);
	}
	metrics_set(m, METRIC_CALLS, 1, LABELS("ringing"));
	metrics_set(m, METRIC_CALLS, 2, LABELS("answered"));
	metrics_set(m, METRIC_CALLS, 4, LABELS("ringing"));
	expect(m, "pbxpush_calls{state=\"ringing\"}", "4");
	metrics_clear(m, METRIC_CALLS);
	metrics_set(m, METRIC_CALLS, 5, LABELS("ringing"));
	expect(m, "pbxpush_calls{state=\"ringing\"}", "5");
	assert_null(value_of(m, "pbxpush_calls{state=\"answered\"}"));
	expect(m, "pbxpush_build_info{version=\"" PBXPUSH_VERSION "\"}", "1");
}

static void test_types_are_kept_apart(void **state)
{
	struct metrics *m = *state;

	metrics_add(m, METRIC_EVENTS, 3, LABELS("call", "ok"));
	metrics_set(m, METRIC_EVENTS, 77, LABELS("call", "ok"));
	expect(m, "pbxpush_events_total{event=\"call\",outcome=\"ok\"}", "3");
	metrics_set(m, METRIC_CLIENTS, 2, NULL);
	metrics_add(m, METRIC_CLIENTS, 5, NULL);
	expect(m, "pbxpush_clients", "2");
	metrics_observe_us(m, METRIC_CLIENTS, 5);
	metrics_set(m, METRIC_SEND_SECONDS, 5, NULL);
	assert_null(value_of(m, "pbxpush_send_seconds"));
	expect(m, "pbxpush_send_seconds_count", "0");
}

static void test_labels_are_escaped(void **state)
{
	struct metrics *m = *state;
	char longer[300];

	metrics_add(m, METRIC_GOAWAY, 1, LABELS("a\"b\\c\nd"));
	expect(m, "pbxpush_goaway_total{reason=\"a\\\"b\\\\c\\nd\"}", "1");
	memset(longer, 'x', sizeof(longer));
	longer[299] = '\0';
	metrics_add(m, METRIC_RETRIES, 1, LABELS(longer));
	longer[127] = '\0';
	char series[400];
	snprintf(series, sizeof(series), "pbxpush_retries_total{reason=\"%s\"}", longer);
	expect(m, series, "1");
}

static void test_series_are_bounded(void **state)
{
	struct metrics *m = *state;
	char reason[32];
	struct buf out = {0};
	size_t lines = 0;

	for (int i = 0; i < 5000; i++) {
		snprintf(reason, sizeof(reason), "reason %d", i);
		metrics_add(m, METRIC_VERDICTS, 1, LABELS("reject", reason));
	}
	expect(m, "pbxpush_verdicts_total{verdict=\"reject\",rule=\"reason 999\"}", "1");
	expect(m, "pbxpush_verdicts_total{verdict=\"other\",rule=\"other\"}", "4000");
	metrics_add(m, METRIC_VERDICTS, 1, LABELS("reject", "reason 7"));
	expect(m, "pbxpush_verdicts_total{verdict=\"reject\",rule=\"reason 7\"}", "2");
	metrics_write(m, &out);
	for (char *at = out.data; (at = strstr(at, "pbxpush_verdicts_total{")); at++)
		lines++;
	assert_int_equal(lines, 1001);
	buf_free(&out);
}

static void test_histograms(void **state)
{
	struct metrics *m = *state;
	const int64_t seen_us[] = {-5, 0, 100, 101, 999, 1000000, 10000000, 10000001, 99000000};
	const struct {
		const char *series, *value;
	} table[] = {
		{"pbxpush_send_seconds_bucket{le=\"0.0001\"}", "3"},
		{"pbxpush_send_seconds_bucket{le=\"0.00025\"}", "4"},
		{"pbxpush_send_seconds_bucket{le=\"0.0005\"}", "4"},
		{"pbxpush_send_seconds_bucket{le=\"0.001\"}", "5"},
		{"pbxpush_send_seconds_bucket{le=\"0.5\"}", "5"},
		{"pbxpush_send_seconds_bucket{le=\"1\"}", "6"},
		{"pbxpush_send_seconds_bucket{le=\"10\"}", "7"},
		{"pbxpush_send_seconds_bucket{le=\"+Inf\"}", "9"},
		{"pbxpush_send_seconds_sum", "120.001201"},
		{"pbxpush_send_seconds_count", "9"},
		{"pbxpush_wake_seconds_bucket{le=\"0.1\"}", "0"},
		{"pbxpush_wake_seconds_bucket{le=\"7.5\"}", "0"},
		{"pbxpush_wake_seconds_bucket{le=\"30\"}", "1"},
		{"pbxpush_wake_seconds_bucket{le=\"+Inf\"}", "1"},
		{"pbxpush_wake_seconds_sum", "30.000000"},
		{"pbxpush_push_seconds_count", "0"},
		{"pbxpush_push_seconds_sum", "0.000000"},
	};

	for (size_t i = 0; i < sizeof(seen_us) / sizeof(seen_us[0]); i++)
		metrics_observe_us(m, METRIC_SEND_SECONDS, seen_us[i]);
	metrics_observe_us(m, METRIC_WAKE_SECONDS, 30000000);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(m, table[i].series, table[i].value);
}

/* Every metric of the enum is declared, with HELP and TYPE before its series, and nothing but
 * well-formed lines comes out. */
static void test_text_format(void **state)
{
	struct metrics *m = *state;
	struct buf out = {0};
	char name[64] = "", type[16] = "";
	size_t types = 0;

	for (int i = 0; i < METRIC_COUNT; i++) {
		metrics_add(m, (enum metric)i, 1, LABELS("a", "b", "c", "d", "e"));
		metrics_set(m, (enum metric)i, 1, LABELS("a", "b", "c", "d", "e"));
		metrics_observe_us(m, (enum metric)i, 1);
	}
	metrics_write(m, &out);
	assert_int_equal(out.data[out.len - 1], '\n');
	for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n")) {
		double value;
		int end = 0;
		if (sscanf(line, "# HELP %63s", name) == 1)
			continue;
		if (!strncmp(line, "# TYPE ", 7)) {
			char typed[64];
			assert_int_equal(sscanf(line, "# TYPE %63s %15s", typed, type), 2);
			assert_string_equal(typed, name);
			types++;
			continue;
		}
		assert_memory_equal(line, name, strlen(name));
		char *space = strrchr(line, ' ');
		assert_non_null(space);
		assert_int_equal(sscanf(space, " %lf%n", &value, &end), 1);
		assert_int_equal(space[end], '\0');
		char next = line[strlen(name)];
		assert_true(
			next == ' ' || next == '{' || (next == '_' && !strcmp(type, "histogram")));
	}
	assert_int_equal(types, METRIC_COUNT + 6);
	buf_free(&out);
}

static void test_process(void **state)
{
	struct metrics *m = *state;
	double now = (double)time(NULL);
	int fds[2];

	assert_in_range(atoll(value_of(m, "process_resident_memory_bytes")), 100000, 1 << 30);
	assert_true(atoll(value_of(m, "process_virtual_memory_bytes")) > 1000000);
	double started = atof(value_of(m, "process_start_time_seconds"));
	assert_true(started > now - 600 && started < now + 2);
	assert_true(atof(value_of(m, "process_cpu_seconds_total")) >= 0);
	assert_int_equal(atoll(value_of(m, "process_max_fds")), sysconf(_SC_OPEN_MAX));
	long long open = atoll(value_of(m, "process_open_fds"));
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(atoll(value_of(m, "process_open_fds")), open + 2);
	close(fds[0]);
	close(fds[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_counters),
		TEST(test_gauges),
		TEST(test_types_are_kept_apart),
		TEST(test_labels_are_escaped),
		TEST(test_series_are_bounded),
		TEST(test_histograms),
		TEST(test_text_format),
		TEST(test_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
