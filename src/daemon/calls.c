/* SPDX-License-Identifier: MIT */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

enum err calls_init(struct calls *calls, size_t expected)
{
	*calls = (struct calls){0};
	TAILQ_INIT(&calls->live);
	TAILQ_INIT(&calls->ended);
	if (map_init(&calls->by_id) || map_init(&calls->by_user) || map_init(&calls->by_uuid))
		return ERR_NOMEM;
	map_reserve(&calls->by_id, expected);
	map_reserve(&calls->by_user, expected);
	return ERR_OK;
}

static bool id_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct call *call = map_entry(node, struct call, by_id);

	return strlen(call->id) == len && !memcmp(call->id, key, len);
}

static bool user_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct callee *callee = map_entry(node, struct callee, by_user);

	return strlen(callee->user) == len && !memcmp(callee->user, key, len);
}

static bool uuid_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct callee *callee = map_entry(node, struct callee, by_uuid);

	return strlen(callee->uuid) == len && !memcmp(callee->uuid, key, len);
}

struct call *calls_find(const struct calls *calls, const char *id)
{
	struct map_node *node = map_find(&calls->by_id, id, strlen(id), id_equal);

	return node ? map_entry(node, struct call, by_id) : NULL;
}

struct call *calls_add(struct calls *calls, const char *id)
{
	size_t len = strlen(id);
	struct call *call = calloc(1, sizeof(*call) + len + 1);

	if (!call)
		return NULL;
	memcpy(call->id, id, len + 1);
	TAILQ_INIT(&call->callees);
	map_add(&calls->by_id, &call->by_id, map_hash(id, len));
	return call;
}

struct callee *call_find_callee(const struct call *call, const char *user, int attempt)
{
	struct callee *callee, *best = NULL;

	TAILQ_FOREACH (callee, &call->callees, of_call) {
		if (strcmp(callee->user, user) != 0)
			continue;
		if (callee->attempt == attempt || !callee->attempt)
			return callee;
		if (!attempt && (!best || callee->attempt > best->attempt))
			best = callee;
	}
	return best;
}

struct callee *calls_of_user(
	const struct calls *calls, const char *user, const struct callee *after)
{
	size_t len = strlen(user);
	struct map_node *node = after ? map_find_next(&after->by_user, user, len, user_equal)
				      : map_find(&calls->by_user, user, len, user_equal);

	return node ? map_entry(node, struct callee, by_user) : NULL;
}

static void add_uuid(struct calls *calls, struct callee *callee)
{
	map_add(&calls->by_uuid, &callee->by_uuid, map_hash(callee->uuid, strlen(callee->uuid)));
}

static void add_uuids(struct calls *calls)
{
	struct callee *callee;

	map_reserve(&calls->by_uuid, calls->by_user.count);
	TAILQ_FOREACH (callee, &calls->live, of_age)
		add_uuid(calls, callee);
	TAILQ_FOREACH (callee, &calls->ended, of_age)
		add_uuid(calls, callee);
	calls->has_uuids = true;
}

struct callee *calls_of_uuid(struct calls *calls, const char *uuid, const struct callee *after)
{
	size_t len = strlen(uuid);
	struct map_node *node;

	if (!calls->has_uuids)
		add_uuids(calls);
	node = after ? map_find_next(&after->by_uuid, uuid, len, uuid_equal)
		     : map_find(&calls->by_uuid, uuid, len, uuid_equal);

	return node ? map_entry(node, struct callee, by_uuid) : NULL;
}

struct callee *calls_add_callee(struct calls *calls, struct call *call, const char *user,
	const char *uuid, int attempt, int64_t deadline_us)
{
	size_t user_len = strlen(user);
	struct callee *callee = calloc(1, sizeof(*callee) + user_len + 1);

	if (!callee)
		return NULL;
	/* Its place in the heap comes first: without memory for that it would never time out. */
	if (heap_set(&calls->due, &callee->due, deadline_us)) {
		free(callee);
		return NULL;
	}
	memcpy(callee->user, user, user_len);
	strncpy(callee->uuid, uuid, sizeof(callee->uuid) - 1);
	callee->attempt = attempt;
	callee->call = call;
	callee->state = CALL_RINGING;
	STAILQ_INIT(&callee->waiters);
	map_add(&calls->by_user, &callee->by_user, map_hash(user, strlen(user)));
	if (calls->has_uuids)
		add_uuid(calls, callee);
	TAILQ_INSERT_TAIL(&call->callees, callee, of_call);
	TAILQ_INSERT_TAIL(&calls->live, callee, of_age);
	calls->live_count++;
	heap_remove(&calls->bare, &call->due);
	return callee;
}

void callee_free_event(struct callee *callee)
{
	if (!callee->event)
		return;
	call_event_free(callee->event);
	callee->event = NULL;
}

static bool is_live(enum call_state state)
{
	return state == CALL_RINGING || state == CALL_ANSWERED;
}

void calls_note_state(struct calls *calls, struct callee *callee, enum call_state old)
{
	calls->answered_count += callee->state == CALL_ANSWERED;
	calls->answered_count -= old == CALL_ANSWERED;
	if (is_live(callee->state) || !is_live(old))
		return;
	TAILQ_REMOVE(&calls->live, callee, of_age);
	calls->live_count--;
	TAILQ_INSERT_TAIL(&calls->ended, callee, of_age);
	calls->ended_count++;
}

void calls_remove_callee(struct calls *calls, struct callee *callee)
{
	struct call *call = callee->call;

	if (is_live(callee->state)) {
		TAILQ_REMOVE(&calls->live, callee, of_age);
		calls->live_count--;
	} else {
		TAILQ_REMOVE(&calls->ended, callee, of_age);
		calls->ended_count--;
	}
	calls->answered_count -= callee->state == CALL_ANSWERED;
	map_remove(&calls->by_user, &callee->by_user);
	if (calls->has_uuids)
		map_remove(&calls->by_uuid, &callee->by_uuid);
	heap_remove(&calls->due, &callee->due);
	TAILQ_REMOVE(&call->callees, callee, of_call);
	for (size_t i = 0; i < callee->target_count; i++)
		target_clear(&callee->targets[i]);
	free(callee->targets);
	free(callee->answered_by);
	free(callee->silenced);
	free(callee->contact);
	callee_free_event(callee);
	free(callee);
	if (TAILQ_EMPTY(&call->callees))
		calls_remove_bare(calls, call);
}

void calls_remove_bare(struct calls *calls, struct call *call)
{
	map_remove(&calls->by_id, &call->by_id);
	heap_remove(&calls->bare, &call->due);
	free(call);
}

struct target *callee_find_target(struct callee *callee, const char *name, const char *token)
{
	for (size_t i = 0; i < callee->target_count; i++) {
		struct target *target = &callee->targets[i];

		if (name && name[0] && !strcmp(target->name, name))
			return target;
		if (token && token[0] && !strcmp(target->token, token))
			return target;
	}
	return NULL;
}

bool callee_has_pushes(const struct callee *callee)
{
	for (size_t i = 0; i < callee->target_count; i++) {
		const struct target *target = &callee->targets[i];

		if (target->in_flight || target->send_at_us ||
			(target->shared && callee->state == CALL_RINGING))
			return true;
	}
	return false;
}

void calls_free(struct calls *calls)
{
	struct callee *callee;
	struct map_node *node;

	while ((callee = TAILQ_FIRST(&calls->live)) || (callee = TAILQ_FIRST(&calls->ended)))
		calls_remove_callee(calls, callee);
	while ((node = map_next(&calls->by_id, NULL)))
		calls_remove_bare(calls, map_entry(node, struct call, by_id));
	map_free(&calls->by_id);
	map_free(&calls->by_user);
	map_free(&calls->by_uuid);
	heap_free(&calls->due);
	heap_free(&calls->bare);
}
