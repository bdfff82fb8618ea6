/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/outcome.h>

static const char reason_unknown[] = "other";

/*
 * Apple's "Handling notification responses from APNs". The live servers say
 * BadEnvironmentKeyInToken where the page says BadEnvironmentKeyIdInToken. GOAWAY names the same
 * reasons.
 */
static const struct known {
	int status;
	const char *reason;
	enum push_class class;
	enum outcome_retry retry;
	bool alarm;
} table[] = {
	/* the device */
	{400, "BadDeviceToken", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	{400, "DeviceTokenNotForTopic", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	{410, "Unregistered", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	{410, "ExpiredToken", PUSH_REJECTED_TOKEN, RETRY_NO, false},
	/* our request */
	{400, "BadCollapseId", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadExpirationDate", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadMessageId", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadPriority", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "BadTopic", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "DuplicateHeaders", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "InvalidPushType", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "MissingDeviceToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "MissingTopic", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "PayloadEmpty", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{400, "TopicDisallowed", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{404, "BadPath", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{405, "MethodNotAllowed", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{413, "PayloadTooLarge", PUSH_REJECTED_SIZE, RETRY_NO, false},
	/* our key */
	{403, "BadCertificate", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "BadCertificateEnvironment", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "BadEnvironmentKeyIdInToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "BadEnvironmentKeyInToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "ExpiredProviderToken", PUSH_REJECTED_CONFIG, RETRY_NEW_TOKEN, true},
	{403, "Forbidden", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "InvalidProviderToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "MissingProviderToken", PUSH_REJECTED_CONFIG, RETRY_NO, true},
	{403, "UnrelatedKeyIdInToken", PUSH_REJECTED_CONFIG, RETRY_OTHER_CONNECTION, true},
	/* the moment */
	{400, "IdleTimeout", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
	{429, "TooManyProviderTokenUpdates", PUSH_REJECTED_BUSY, RETRY_SAME_TOKEN_LATER, false},
	{429, "TooManyRequests", PUSH_REJECTED_BUSY, RETRY_DEVICE_LATER, false},
	{500, "InternalServerError", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
	{503, "ServiceUnavailable", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
	{503, "Shutdown", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false},
};

#define KNOWN_COUNT (sizeof(table) / sizeof(table[0]))

const char *outcome_reason_at(size_t index)
{
	return index < KNOWN_COUNT ? table[index].reason : NULL;
}

static const struct known *known_find(const char *reason)
{
	for (size_t i = 0; reason && i < KNOWN_COUNT; i++)
		if (strcmp(table[i].reason, reason) == 0)
			return &table[i];
	return NULL;
}

/* NULL for what is too long or no JSON object. */
static json_t *body_load(const char *body, size_t len)
{
	json_t *root = len && len <= OUTCOME_BODY_MAX ? json_loadb(body, len, 0, NULL) : NULL;

	if (!json_is_object(root)) {
		json_decref(root);
		return NULL;
	}
	return root;
}

/* What an answer means whose reason says nothing. */
static struct outcome outcome_by_status(int status)
{
	struct outcome config = {"", PUSH_REJECTED_CONFIG, RETRY_NO, true, 0};
	/* RFC 9110 15: a status outside 100 to 599 counts as 5xx. */
	struct outcome busy = {"", PUSH_REJECTED_BUSY, RETRY_OTHER_CONNECTION, false, 0};

	switch (status) {
	case 410:
		return (struct outcome){"", PUSH_REJECTED_TOKEN, RETRY_NO, false, 0};
	case 413:
		return (struct outcome){"", PUSH_REJECTED_SIZE, RETRY_NO, false, 0};
	case 429:
		return (struct outcome){"", PUSH_REJECTED_BUSY, RETRY_DEVICE_LATER, false, 0};
	}
	if (status >= 200 && status < 300)
		return (struct outcome){"", PUSH_ACCEPTED, RETRY_NO, false, 0};
	return status >= 300 && status < 500 ? config : busy;
}

/* Unix ms of a 410. Nonsense counts as absent: a token dies at the latest when we hear of it. */
static int64_t timestamp_of(const json_t *root)
{
	json_t *value = json_object_get(root, "timestamp");
	double ms = json_number_value(value);

	if (json_is_integer(value))
		return json_integer_value(value) > 0 ? json_integer_value(value) : 0;
	return ms > 0 && ms < 9e15 ? (int64_t)ms : 0;
}

struct outcome push_outcome_classify(int status, const char *body, size_t body_len)
{
	struct outcome outcome = outcome_by_status(status);
	const struct known *known;
	json_t *root;

	if (outcome.class == PUSH_ACCEPTED || body_len == 0)
		return outcome;
	root = body_load(body, body_len);
	known = known_find(json_string_value(json_object_get(root, "reason")));
	outcome.reason = known ? known->reason : reason_unknown;
	/* Under a status not its own a reason is shown, not believed: it could cost a good
	 * token. */
	if (known && known->status == status) {
		outcome.class = known->class;
		outcome.retry = known->retry;
		outcome.alarm = known->alarm;
	}
	if (status == 410)
		outcome.timestamp_ms = timestamp_of(root);
	json_decref(root);
	return outcome;
}

const char *outcome_goaway_reason(const char *data, size_t len, bool *alarm)
{
	json_t *root = body_load(data, len);
	const struct known *known = known_find(json_string_value(json_object_get(root, "reason")));

	json_decref(root);
	/* What a retry mends on the next connection is no fault of the configuration yet. */
	*alarm = known && known->alarm && known->retry == RETRY_NO;
	if (known)
		return known->reason;
	return len ? reason_unknown : "";
}

int64_t retry_backoff_ms(int attempt, int64_t base_ms, int64_t cap_ms, uint32_t random)
{
	int64_t window = base_ms;

	if (cap_ms > UINT32_MAX - 1)
		cap_ms = UINT32_MAX - 1; /* 49 days: the product below fits into 64 bits */
	for (; attempt > 0 && window < cap_ms; attempt--)
		window *= 2;
	if (window > cap_ms)
		window = cap_ms;
	if (window <= 0)
		return 0;
	return (int64_t)((uint64_t)random * ((uint64_t)window + 1) >> 32);
}
