/* SPDX-License-Identifier: MIT */
/* What a scenario expects of pushes, and makes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include <pbxpush/core/outcome.h>

#include "fake_clock.h"
#include "json_path.h"
#include "script_internal.h"

/* The request as JSON, so that a scenario compares it by name. in_ms: time until its deadline. */
static json_t *request_json(const struct fake_push *push)
{
	const struct push_request *request = &push->request;

	return json_pack("{s:s,s:s,s:s,s:i,s:I,s:s?,s:I,s:s}", "type",
		push_type_name(request->type), "env", push_environment_name(request->environment),
		"app", request->app, "priority", request->priority, "expiration_s",
		(json_int_t)request->expiration_s, "collapse", request->collapse_id, "in_ms",
		(json_int_t)((push->deadline_us - fake_clock_mono_us()) / 1000), "uuid",
		push->uuid);
}

static void compare(struct step *step, const json_t *root)
{
	char *text = json_dumps(root, JSON_COMPACT);
	const char *key, *value;

	for (size_t i = 2; i < step->count; i++) {
		if (!step_pair(step->words[i], &key, &value))
			step_fail(step, "PATH=VALUE, not %s", key);
		if (!json_path_matches(root, key, value))
			step_fail(step, "%s is not %s in %s", key, value, text);
	}
	free(text);
}

static void expect_push(struct step *step)
{
	const char *token = step_token(step_word(step, 1));
	struct fake_push *push = fake_transport_unseen(step->world->transport, token);
	json_t *request;

	if (!push)
		step_fail(step, "there was no push to %.8s", token);
	push->seen = true;
	request = request_json(push);
	assert_non_null(request);
	compare(step, request);
	json_decref(request);
}

static void expect_no_push(const struct step *step)
{
	const struct fake_push *push = fake_transport_unseen(step->world->transport, NULL);

	if (push)
		step_fail(step, "a push to %.8s: %s", push->token, push->payload);
}

static struct fake_push *latest(const struct step *step)
{
	const char *token = step_token(step_word(step, 1));
	struct fake_push *push = fake_transport_latest(step->world->transport, token);

	if (!push)
		step_fail(step, "there was no push to %.8s", token);
	return push;
}

static void expect_payload(struct step *step)
{
	json_t *payload = json_loads(latest(step)->payload, 0, NULL);

	assert_non_null(payload);
	compare(step, payload);
	json_decref(payload);
}

static struct fake_push *outstanding(const struct step *step)
{
	struct fake_push *push = latest(step);

	if (push->over)
		step_fail(step, "this push is over");
	return push;
}

static void reject(const struct step *step)
{
	const char *reason = step_word(step, 3);
	int status = atoi(step_word(step, 2));
	char body[128];
	struct outcome outcome;

	snprintf(body, sizeof(body), "{\"reason\":\"%s\"}", reason);
	outcome = push_outcome_classify(status, body, strlen(body));
	fake_transport_answer(outstanding(step), status, outcome.reason,
		step->count > 4 ? fake_clock_wall_ms() + atoll(step->words[4]) : 0, outcome.class);
}

bool step_about_push(struct step *step)
{
	const char *verb = step->words[0];

	if (!strcmp(verb, "push"))
		expect_push(step);
	else if (!strcmp(verb, "no"))
		expect_no_push(step);
	else if (!strcmp(verb, "payload"))
		expect_payload(step);
	else if (!strcmp(verb, "accept"))
		fake_transport_answer(outstanding(step), 200, "", 0, PUSH_ACCEPTED);
	else if (!strcmp(verb, "reject"))
		reject(step);
	else if (!strcmp(verb, "fail"))
		fake_transport_answer(outstanding(step), 0, step_word(step, 2), 0, PUSH_NOT_SENT);
	else if (!strcmp(verb, "lose"))
		fake_transport_answer(outstanding(step), 0, step_word(step, 2), 0, PUSH_AMBIGUOUS);
	else if (!strcmp(verb, "written"))
		outstanding(step)->written = true;
	else if (!strcmp(verb, "withdrawn") && !latest(step)->cancelled)
		step_fail(step, "it was not withdrawn");
	else
		return !strcmp(verb, "withdrawn");
	return true;
}
