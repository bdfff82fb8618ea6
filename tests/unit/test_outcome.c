/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/outcome.h>

/* Apple's table, written down a second time in its own order: a slip in either shows. */
static const struct {
	int status;
	const char *reason;
	enum push_class class;
	enum outcome_retry retry;
	bool alarm;
} apple[] = {
	{400, "BadCollapseId", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadDeviceToken", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	{400, "BadExpirationDate", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadMessageId", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadPriority", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadTopic", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "DeviceTokenNotForTopic", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	{400, "DuplicateHeaders", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "IdleTimeout", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
	{400, "InvalidPushType", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "MissingDeviceToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "MissingTopic", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "PayloadEmpty", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "TopicDisallowed", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "BadCertificate", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "BadCertificateEnvironment", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "BadEnvironmentKeyIdInToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "BadEnvironmentKeyInToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "ExpiredProviderToken", PUSH_REJECTED_CONFIG, RETRY_NEW_TOKEN, true},
	{403, "Forbidden", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "InvalidProviderToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "MissingProviderToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "UnrelatedKeyIdInToken", PUSH_REJECTED_CONFIG, RETRY_OTHER_CONNECTION, true},
	{404, "BadPath", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{405, "MethodNotAllowed", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{410, "ExpiredToken", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	{410, "Unregistered", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	{413, "PayloadTooLarge", PUSH_REJECTED_SIZE, RETRY_NO, false},
	{429, "TooManyProviderTokenUpdates", PUSH_REJECTED_BUSY, RETRY_SAME_TOKEN_LATER, false},
	{429, "TooManyRequests", PUSH_REJECTED_BUSY, RETRY_DEVICE_LATER, false},
	{500, "InternalServerError", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
	{503, "ServiceUnavailable", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
	{503, "Shutdown", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
};

#define APPLE_COUNT (sizeof(apple) / sizeof(apple[0]))

static struct outcome classify(int status, const char *body)
{
	return push_outcome_classify(status, body, strlen(body));
}

static void every_reason_of_apple(void **state)
{
	(void)state;
	for (size_t i = 0; i < APPLE_COUNT; i++) {
		struct outcome outcome;
		char body[128];

		snprintf(body, sizeof(body), "{\"reason\":\"%s\"}", apple[i].reason);
		outcome = classify(apple[i].status, body);
		if (strcmp(outcome.reason, apple[i].reason) != 0 ||
			outcome.class != apple[i].class || outcome.retry != apple[i].retry ||
			outcome.alarm != apple[i].alarm || outcome.timestamp_ms != 0)
			fail_msg("%d %s: class %d retry %d alarm %d", apple[i].status,
				apple[i].reason, (int)outcome.class, (int)outcome.retry,
				outcome.alarm);
	}
}

static void the_known_set_is_apples(void **state)
{
	size_t count = 0;

	(void)state;
	for (const char *reason; (reason = outcome_reason_at(count)); count++) {
		size_t i = 0;

		while (i < APPLE_COUNT && strcmp(apple[i].reason, reason) != 0)
			i++;
		if (i == APPLE_COUNT)
			fail_msg("%s is none of Apple's", reason);
	}
	assert_int_equal(count, APPLE_COUNT);
	assert_null(outcome_reason_at(SIZE_MAX));
}

static void otherwise_the_status_decides(void **state)
{
	static const struct {
		const char *name;
		int status;
		const char *body, *reason;
		enum push_class class;
		enum outcome_retry retry;
		bool alarm;
	} rows[] = {
		{"success", 200, "", "", PUSH_ACCEPTED, RETRY_NO, false},
		{"success that talks", 200, "{\"reason\":\"BadDeviceToken\"}", "", PUSH_ACCEPTED,
			RETRY_NO, false},
		{"bare 400", 400, "", "", PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"401", 401, "", "", PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"403 of tomorrow", 403, "{\"reason\":\"BadMoonPhase\"}", "other",
			PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"redirect", 301, "<html>", "other", PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"bare 410", 410, "", "", PUSH_REJECTED_TOKEN, RETRY_NO, false},
		{"410 with garbage", 410, "}{", "other", PUSH_REJECTED_TOKEN, RETRY_NO, false},
		{"413 of a proxy", 413, "too big", "other", PUSH_REJECTED_SIZE, RETRY_NO, false},
		{"bare 429", 429, "", "", PUSH_REJECTED_BUSY, RETRY_DEVICE_LATER, false},
		{"bare 500", 500, "", "", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
		{"502 in HTML", 502, "<html>Bad gateway</html>", "other", PUSH_REJECTED_BUSY,
			RETRY_OTHER_CONNECTION, false},
		{"no status", 0, "", "", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
		{"invented status", 999, "", "", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
		{"a 503 kills no token", 503, "{\"reason\":\"Unregistered\"}", "Unregistered",
			PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
		{"a 403 kills no token", 403, "{\"reason\":\"BadDeviceToken\"}", "BadDeviceToken",
			PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"a 410 means what it says", 410, "{\"reason\":\"Shutdown\"}", "Shutdown",
			PUSH_REJECTED_TOKEN, RETRY_NO, false},
		{"reason is no string", 400, "{\"reason\":5}", "other", PUSH_REJECTED_CONFIG,
			RETRY_NO, true},
		{"no reason", 400, "{}", "other", PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"reason in another case", 400, "{\"reason\":\"baddevicetoken\"}", "other",
			PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"array", 400, "[\"BadDeviceToken\"]", "other", PUSH_REJECTED_CONFIG, RETRY_NO,
			true},
		{"cut short", 400, "{\"reason\":\"BadDeviceTok", "other", PUSH_REJECTED_CONFIG,
			RETRY_NO, true},
		{"more behind it", 400, "{\"reason\":\"BadDeviceToken\"}x", "other",
			PUSH_REJECTED_CONFIG, RETRY_NO, true},
		{"not UTF-8", 400, "{\"reason\":\"\xff\xfe\"}", "other", PUSH_REJECTED_CONFIG,
			RETRY_NO, true},
		{"escaped NUL", 400, "{\"reason\":\"BadDeviceToken\\u0000\"}", "other",
			PUSH_REJECTED_CONFIG, RETRY_NO, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome outcome = classify(rows[i].status, rows[i].body);

		if (strcmp(outcome.reason, rows[i].reason) != 0 || outcome.class != rows[i].class ||
			outcome.retry != rows[i].retry || outcome.alarm != rows[i].alarm)
			fail_msg("%s: '%s' class %d retry %d alarm %d", rows[i].name,
				outcome.reason, (int)outcome.class, (int)outcome.retry,
				outcome.alarm);
	}
}

static void a_body_is_read_up_to_its_bound(void **state)
{
	static const char json[] = "{\"reason\":\"BadDeviceToken\"}";
	static const char with_nul[] = "{\"reason\":\"BadDeviceToken\0\"}";
	static char body[OUTCOME_BODY_MAX + 1];

	(void)state;
	memset(body, ' ', sizeof(body));
	memcpy(body, json, strlen(json));
	assert_string_equal(
		push_outcome_classify(400, body, OUTCOME_BODY_MAX).reason, "BadDeviceToken");
	assert_string_equal(push_outcome_classify(400, body, OUTCOME_BODY_MAX + 1).reason, "other");

	memset(body, '[', sizeof(body)); /* nested as deep as it can be */
	assert_string_equal(push_outcome_classify(400, body, OUTCOME_BODY_MAX).reason, "other");
	assert_string_equal(
		push_outcome_classify(400, with_nul, sizeof(with_nul) - 1).reason, "other");
}

static void only_a_410_has_a_timestamp(void **state)
{
	static const struct {
		int status;
		const char *timestamp;
		int64_t ms;
	} rows[] = {
		{410, "1763790000123", 1763790000123},
		{410, "1763790000123.0", 1763790000123},
		{410, "1.763790000123e12", 1763790000123},
		{410, "9223372036854775807", INT64_MAX},
		{410, "9223372036854775808", 0},
		{410, "1e300", 0},
		{410, "-5", 0},
		{410, "-5.5", 0},
		{410, "0", 0},
		{410, "null", 0},
		{410, "\"1763790000123\"", 0},
		{410, "{}", 0},
		{400, "1763790000123", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct outcome outcome;
		char body[128];

		snprintf(body, sizeof(body), "{\"reason\":\"Unregistered\",\"timestamp\":%s}",
			rows[i].timestamp);
		outcome = classify(rows[i].status, body);
		if (outcome.timestamp_ms != rows[i].ms)
			fail_msg("%d %s: %lld", rows[i].status, rows[i].timestamp,
				(long long)outcome.timestamp_ms);
	}
	assert_int_equal(
		classify(410, "{\"timestamp\":1763790000123}").timestamp_ms, 1763790000123);
}

static void goaway_names_a_reason(void **state)
{
	static const struct {
		const char *data, *reason;
		bool alarm;
	} rows[] = {
		{"", "", false},
		{"{\"reason\":\"BadCertificateEnvironment\"}", "BadCertificateEnvironment", true},
		{"{\"reason\":\"BadEnvironmentKeyInToken\"}", "BadEnvironmentKeyInToken", true},
		{"{\"reason\":\"IdleTimeout\"}", "IdleTimeout", false},
		{"{\"reason\":\"Shutdown\",\"timestamp\":1}", "Shutdown", false},
		{"{\"reason\":\"BadDeviceToken\"}", "BadDeviceToken", false},
		{"{\"reason\":\"ExpiredProviderToken\"}", "ExpiredProviderToken", false},
		{"{\"reason\":\"New\"}", "other", false},
		{"{}", "other", false},
		{"Maximum active streams violated for this endpoint", "other", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool alarm = !rows[i].alarm;
		const char *reason =
			outcome_goaway_reason(rows[i].data, strlen(rows[i].data), &alarm);

		if (strcmp(reason, rows[i].reason) != 0 || alarm != rows[i].alarm)
			fail_msg("%s: '%s' alarm %d", rows[i].data, reason, alarm);
	}
}

static void backoff_is_full_jitter_under_a_cap(void **state)
{
	static const struct {
		int attempt;
		int64_t base_ms, cap_ms;
		uint32_t random;
		int64_t pause_ms;
	} rows[] = {
		{0, 100, 5000, 0, 0},
		{0, 100, 5000, UINT32_MAX, 100},
		{1, 100, 5000, UINT32_MAX, 200},
		{5, 100, 5000, UINT32_MAX, 3200},
		{5, 100, 5000, UINT32_MAX / 2, 1600},
		{6, 100, 5000, UINT32_MAX, 5000},
		{INT32_MAX, 100, 5000, UINT32_MAX, 5000},
		{-1, 100, 5000, UINT32_MAX, 100},
		{0, 9000, 5000, UINT32_MAX, 5000},
		{3, 0, 5000, UINT32_MAX, 0},
		{0, 100, 0, UINT32_MAX, 0},
		{0, -100, 5000, UINT32_MAX, 0},
		{40, 1, INT64_MAX, UINT32_MAX, UINT32_MAX - 1LL},
		{0, INT64_MAX, INT64_MAX, UINT32_MAX, UINT32_MAX - 1LL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t pause = retry_backoff_ms(
			rows[i].attempt, rows[i].base_ms, rows[i].cap_ms, rows[i].random);

		if (pause != rows[i].pause_ms)
			fail_msg("row %zu: %lld", i, (long long)pause);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_of_apple),
		cmocka_unit_test(the_known_set_is_apples),
		cmocka_unit_test(otherwise_the_status_decides),
		cmocka_unit_test(a_body_is_read_up_to_its_bound),
		cmocka_unit_test(only_a_410_has_a_timestamp),
		cmocka_unit_test(goaway_names_a_reason),
		cmocka_unit_test(backoff_is_full_jitter_under_a_cap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
