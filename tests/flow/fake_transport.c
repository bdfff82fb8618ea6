/* SPDX-License-Identifier: MIT */
#include "fake_transport.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/uuid.h>

#include "fake_clock.h"
#include "fake_memory.h"

#define PUSHES_MAX 512

struct fake_transport {
	struct transport port;
	struct fake_push pushes[PUSHES_MAX];
	size_t count;
	bool full;
};

/* What the payload says about the call; the caller releases it. */
static json_t *payload_of(const struct push_request *request)
{
	json_error_t why;
	json_t *payload = json_loadb(request->payload, request->payload_len, 0, &why);
	size_t max = request->type == PUSH_VOIP ? PUSH_VOIP_MAX_BYTES : PUSH_ALERT_MAX_BYTES;

	if (!payload)
		fail_msg("the payload is no JSON: %s", why.text);
	assert_true(request->payload_len <= max);
	return payload;
}

/* A VoIP push is a call and nothing else; an alert may be other things too. */
static bool is_call(const struct push_request *request, const json_t *payload)
{
	const char *type = json_string_value(json_object_get(payload, "type"));

	return request->type == PUSH_VOIP || (type && !strcmp(type, "call"));
}

static void check_call(const struct push_request *request, const json_t *payload)
{
	int64_t expires_ms = json_integer_value(json_object_get(payload, "expires_ms"));

	assert_string_equal(json_string_value(json_object_get(payload, "type")), "call");
	if (expires_ms <= fake_clock_wall_ms())
		fail_msg("a call is announced after its deadline");
	assert_int_equal(request->priority, 10);
	if (request->type == PUSH_VOIP)
		assert_int_equal(request->expiration_s, 0);
}

static void check_token(const char *token)
{
	size_t len = strlen(token);

	assert_in_range(len, 32, 512);
	for (size_t i = 0; i < len; i++)
		assert_true(
			isdigit((unsigned char)token[i]) || (token[i] >= 'a' && token[i] <= 'f'));
}

static void check_id(const struct fake_transport *transport, const char *apns_id)
{
	char uuid[UUID_SIZE];

	assert_true(uuid_normalize(apns_id, uuid));
	assert_string_equal(apns_id, uuid);
	for (size_t i = 0; i < transport->count; i++)
		assert_string_not_equal(apns_id, transport->pushes[i].request.apns_id);
}

/* One token gets one push a call, under however many users; a refused one may be followed by
 * another. */
static void check_first(const struct fake_transport *transport, const char *token, const char *uuid)
{
	for (size_t i = 0; i < transport->count; i++) {
		const struct fake_push *push = &transport->pushes[i];

		if (!strcmp(push->request.token, token) && !strcmp(push->uuid, uuid) &&
			!push->cancelled && (push->accepted || !push->over))
			fail_msg("a second push for call %s to token %.8s", uuid, token);
	}
}

static uint64_t keep_push(struct fake_transport *transport, const struct push_request *request,
	int64_t deadline_us, push_done_fn *done, void *arg)
{
	struct fake_push *push = &transport->pushes[transport->count];
	json_t *payload;
	const char *uuid;

	if (transport->full)
		return 0;
	assert_in_range(transport->count, 0, PUSHES_MAX - 1);
	payload = payload_of(request);
	uuid = json_string_value(json_object_get(payload, "uuid"));
	if (is_call(request, payload))
		check_call(request, payload);
	check_token(request->token);
	check_id(transport, request->apns_id);
	if (request->type == PUSH_VOIP)
		check_first(transport, request->token, uuid);
	*push = (struct fake_push){.ticket = 1000 + transport->count,
		.request = *request,
		.deadline_us = deadline_us,
		.done = done,
		.arg = arg,
		.app = strdup(request->app),
		.token = strdup(request->token),
		.payload = strndup(request->payload, request->payload_len),
		.collapse_id = request->collapse_id ? strdup(request->collapse_id) : NULL,
		.uuid = strdup(uuid ? uuid : "")};
	push->request.app = push->app;
	push->request.token = push->token;
	push->request.payload = push->payload;
	push->request.collapse_id = push->collapse_id;
	json_decref(payload);
	transport->count++;
	return push->ticket;
}

static uint64_t take_push(void *self, const struct push_request *request, int64_t deadline_us,
	push_done_fn *done, void *arg)
{
	bool armed = fake_memory_arm(false);
	uint64_t ticket = keep_push(self, request, deadline_us, done, arg);

	fake_memory_arm(armed);
	return ticket;
}

static enum cancel_result cancel_push(void *self, uint64_t ticket)
{
	struct fake_transport *transport = self;

	for (size_t i = 0; i < transport->count; i++) {
		struct fake_push *push = &transport->pushes[i];

		if (push->ticket != ticket || push->over)
			continue;
		if (push->written)
			return CANCEL_TOO_LATE;
		push->cancelled = true;
		push->over = true;
		return CANCEL_WITHDRAWN;
	}
	return CANCEL_UNKNOWN;
}

struct fake_transport *fake_transport_new(void)
{
	struct fake_transport *transport = calloc(1, sizeof(*transport));

	assert_non_null(transport);
	transport->port =
		(struct transport){.self = transport, .send = take_push, .cancel = cancel_push};
	return transport;
}

const struct transport *fake_transport_port(struct fake_transport *transport)
{
	return &transport->port;
}

void fake_transport_set_full(struct fake_transport *transport, bool full)
{
	transport->full = full;
}

struct fake_push *fake_transport_unseen(struct fake_transport *transport, const char *token)
{
	for (size_t i = 0; i < transport->count; i++) {
		struct fake_push *push = &transport->pushes[i];

		if (!push->seen && (!token || !strcmp(push->request.token, token)))
			return push;
	}
	return NULL;
}

struct fake_push *fake_transport_latest(struct fake_transport *transport, const char *token)
{
	for (size_t i = transport->count; i > 0; i--) {
		struct fake_push *push = &transport->pushes[i - 1];

		if (push->seen && !strcmp(push->request.token, token))
			return push;
	}
	return NULL;
}

void fake_transport_answer(struct fake_push *push, int status, const char *reason,
	int64_t timestamp_ms, enum push_class class)
{
	struct push_result result = {.class = class,
		.status = status,
		.timestamp_ms = timestamp_ms,
		.attempts = 1,
		.done_us = fake_clock_mono_us()};

	assert_false(push->over);
	if (status || class == PUSH_AMBIGUOUS)
		result.written_us = result.done_us;
	snprintf(result.reason, sizeof(result.reason), "%s", reason);
	memcpy(result.apns_id, push->request.apns_id, sizeof(result.apns_id));
	push->over = true;
	push->accepted = class == PUSH_ACCEPTED;
	push->done(push->arg, &result);
}

void fake_transport_shut_down(struct fake_transport *transport)
{
	transport->full = true; /* what an answer would send again goes nowhere */
	for (size_t i = 0; i < transport->count; i++) {
		if (!transport->pushes[i].over)
			fake_transport_answer(
				&transport->pushes[i], 0, "connection", 0, PUSH_NOT_SENT);
	}
}

void fake_transport_free(struct fake_transport *transport)
{
	for (size_t i = 0; i < transport->count; i++) {
		struct fake_push *push = &transport->pushes[i];

		free(push->app);
		free(push->token);
		free(push->payload);
		free(push->collapse_id);
		free(push->uuid);
	}
	free(transport);
}
