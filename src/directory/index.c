/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/number.h>

#include "index.h"

struct app {
	struct map_node node;
	char name[];
};

/* ---- the index as a whole ---- */

enum err index_init(struct index *index)
{
	*index = (struct index){.recent = calloc(1, sizeof(struct user *))};
	if (!index->recent || map_init(&index->users) || map_init(&index->tokens) ||
		map_init(&index->alerts) || map_init(&index->patterns) || map_init(&index->apps)) {
		index_free(index);
		return ERR_NOMEM;
	}
	return ERR_OK;
}

static void settings_free(struct settings *settings)
{
	struct pattern *next_pattern;
	struct mute *next_mute;

	if (!settings)
		return;
	for (int list = 0; list < LIST_COUNT; list++) {
		for (struct pattern *p = settings->patterns[list]; p; p = next_pattern) {
			next_pattern = p->next;
			free(p);
		}
	}
	for (struct mute *mute = settings->mutes; mute; mute = next_mute) {
		next_mute = mute->next;
		free(mute);
	}
	free(settings->schedule);
	free(settings);
}

static void user_free(struct user *user)
{
	struct record *next;

	for (struct record *record = user->devices; record; record = next) {
		next = record->next;
		record_free(record);
	}
	settings_free(user->settings);
	free(user);
}

void index_free(struct index *index)
{
	struct map_node *next;

	for (struct map_node *node = map_next(&index->users, NULL); node; node = next) {
		next = map_next(&index->users, node);
		user_free(map_entry(node, struct user, node));
	}
	for (struct map_node *node = map_next(&index->apps, NULL); node; node = next) {
		next = map_next(&index->apps, node);
		free(map_entry(node, struct app, node));
	}
	map_free(&index->users);
	map_free(&index->tokens);
	map_free(&index->alerts);
	map_free(&index->patterns);
	map_free(&index->apps);
	free(index->recent);
	index->recent = NULL;
}

static bool app_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct app *app = map_entry(node, const struct app, node);

	return strlen(app->name) == len && memcmp(app->name, key, len) == 0;
}

const char *index_app(struct index *index, const char *name)
{
	size_t len = strlen(name);
	struct map_node *node = map_find(&index->apps, name, len, app_equal);

	if (!len)
		return "";
	if (node)
		return map_entry(node, struct app, node)->name;
	struct app *app = malloc(sizeof(*app) + len + 1);
	if (!app)
		return NULL;
	memcpy(app->name, name, len + 1);
	map_add(&index->apps, &app->node, map_hash(name, len));
	return app->name;
}

/* ---- users ---- */

static bool user_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct user *user = map_entry(node, const struct user, node);

	return strlen(user->name) == len && memcmp(user->name, key, len) == 0;
}

struct user *index_user(const struct index *index, const char *name)
{
	struct map_node *node;

	if (*index->recent && !strcmp((*index->recent)->name, name))
		return *index->recent;
	node = map_find(&index->users, name, strlen(name), user_equal);
	if (node)
		*index->recent = map_entry(node, struct user, node);
	return node ? *index->recent : NULL;
}

enum err index_user_get(struct index *index, const char *name, struct user **out)
{
	size_t len = strlen(name);
	struct user *user = index_user(index, name);

	if (!user) {
		user = calloc(1, sizeof(*user) + len + 1);
		if (!user)
			return ERR_NOMEM;
		memcpy(user->name, name, len + 1);
		map_add(&index->users, &user->node, map_hash(name, len));
	}
	*out = user;
	return ERR_OK;
}

enum err index_settings_get(struct user *user, struct settings **out)
{
	if (!user->settings) {
		user->settings = calloc(1, sizeof(*user->settings));
		if (!user->settings)
			return ERR_NOMEM;
		user->settings->call_waiting = -1;
	}
	*out = user->settings;
	return ERR_OK;
}

static bool settings_empty(const struct settings *settings)
{
	for (int list = 0; list < LIST_COUNT; list++)
		if (settings->patterns[list])
			return false;
	return !settings->dnd && !settings->mutes && !settings->schedule &&
	       settings->call_waiting < 0;
}

void index_user_drop(struct index *index, struct user *user)
{
	if (user->settings && settings_empty(user->settings)) {
		free(user->settings);
		user->settings = NULL;
	}
	if (user->devices || user->settings)
		return;
	map_remove(&index->users, &user->node);
	if (*index->recent == user)
		*index->recent = NULL;
	free(user);
}

/* ---- devices ---- */

static void index_count(struct index *index, const struct record *record)
{
	index->devices += record_has_push(record);
	index->dead += record_dead(record);
	index->registered += record->present;
}

static void index_uncount(struct index *index, const struct record *record)
{
	index->devices -= record_has_push(record);
	index->dead -= record_dead(record);
	index->registered -= record->present;
}

static void index_link(struct index *index, struct record *record)
{
	if (record->token_len)
		map_add(&index->tokens, &record->token_node,
			map_hash(record_token(record), record->token_len));
	if (record_alert_len(record))
		map_add(&index->alerts, &record->rare->alert_node,
			map_hash(record_alert(record), record_alert_len(record)));
	index_count(index, record);
}

static void index_unlink(struct index *index, struct record *record)
{
	if (record->token_len)
		map_remove(&index->tokens, &record->token_node);
	if (record_alert_len(record))
		map_remove(&index->alerts, &record->rare->alert_node);
	index_uncount(index, record);
}

enum err index_update(struct index *index, struct record *record, const struct facts *facts)
{
	index_uncount(index, record);
	enum err err = record_set(record, facts);
	index_count(index, record);
	return err;
}

static struct record **user_slot(struct user *user, const struct record *record)
{
	struct record **slot = &user->devices;

	while (*slot && *slot != record)
		slot = &(*slot)->next;
	return slot;
}

void index_add(struct index *index, struct user *user, struct record *record)
{
	index->owners += !user->devices;
	record->user = user;
	record->next = NULL;
	*user_slot(user, NULL) = record;
	index_link(index, record);
}

void index_replace(struct index *index, struct record *old, struct record *record)
{
	record->user = old->user;
	record->next = old->next;
	*user_slot(old->user, old) = record;
	index_unlink(index, old);
	index_link(index, record);
	record_free(old);
}

void index_remove(struct index *index, struct record *record)
{
	*user_slot(record->user, record) = record->next;
	index->owners -= !record->user->devices;
	index_unlink(index, record);
	record_free(record);
}

struct record *index_device(const struct user *user, const char *name)
{
	struct record *record = user ? user->devices : NULL;

	while (record && strcmp(record_name(record), name) != 0)
		record = record->next;
	return record;
}

static bool token_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct record *record = map_entry(node, const struct record, token_node);

	return record->token_len == len && memcmp(record_token(record), key, len) == 0;
}

static bool alert_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct rare *rare = map_entry(node, const struct rare, alert_node);

	return rare->alert_len == len && memcmp(rare->alert, key, len) == 0;
}

struct record *index_next_token(
	const struct index *index, const struct token *token, const struct record *after)
{
	if (!token->len)
		return NULL;
	struct map_node *node =
		after ? map_find_next(&after->token_node, token->key, token->len, token_equal)
		      : map_find(&index->tokens, token->key, token->len, token_equal);
	return node ? map_entry(node, struct record, token_node) : NULL;
}

struct record *index_next_alert(
	const struct index *index, const struct token *token, const struct record *after)
{
	if (!token->len)
		return NULL;
	struct map_node *node =
		after ? map_find_next(&after->rare->alert_node, token->key, token->len, alert_equal)
		      : map_find(&index->alerts, token->key, token->len, alert_equal);
	return node ? map_entry(node, struct rare, alert_node)->record : NULL;
}

/* ---- lists ---- */

/* The owner's address stands for its name: shorter, and as good while the user lives. */
struct pattern_key {
	const struct user *user;
	uint8_t list;
	char text[NUMBER_SIZE];
};

static size_t pattern_key_make(struct pattern_key *key, const struct user *user,
	enum directory_list list, const char *text, size_t len)
{
	key->user = user;
	key->list = (uint8_t)list;
	memcpy(key->text, text, len);
	return offsetof(struct pattern_key, text) + len;
}

static bool pattern_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct pattern *pattern = map_entry(node, const struct pattern, node);
	const struct pattern_key *wanted = key;
	size_t text_len = len - offsetof(struct pattern_key, text);

	return pattern->user == wanted->user && pattern->list == wanted->list &&
	       strlen(pattern->text) == text_len &&
	       memcmp(pattern->text, wanted->text, text_len) == 0;
}

struct pattern *index_pattern(const struct index *index, const struct user *user,
	enum directory_list list, const char *text, size_t len)
{
	struct pattern_key key;

	if (!user || len > sizeof(key.text))
		return NULL;
	size_t key_len = pattern_key_make(&key, user, list, text, len);
	struct map_node *node = map_find(&index->patterns, &key, key_len, pattern_equal);
	return node ? map_entry(node, struct pattern, node) : NULL;
}

enum err index_pattern_add(
	struct index *index, struct user *user, enum directory_list list, const char *text)
{
	size_t len = strlen(text);
	struct pattern_key key;
	struct settings *settings;
	struct pattern *pattern;

	if (len > sizeof(key.text))
		return ERR_INVAL;
	if (index_settings_get(user, &settings))
		return ERR_NOMEM;
	pattern = malloc(sizeof(*pattern) + len + 1);
	if (!pattern)
		return ERR_NOMEM;
	pattern->user = user;
	pattern->list = (uint8_t)list;
	memcpy(pattern->text, text, len + 1);
	pattern->next = settings->patterns[list];
	pattern->prev = &settings->patterns[list];
	if (pattern->next)
		pattern->next->prev = &pattern->next;
	settings->patterns[list] = pattern;
	map_add(&index->patterns, &pattern->node,
		map_hash(&key, pattern_key_make(&key, user, list, text, len)));
	return ERR_OK;
}

void index_pattern_remove(struct index *index, struct pattern *pattern)
{
	*pattern->prev = pattern->next;
	if (pattern->next)
		pattern->next->prev = pattern->prev;
	map_remove(&index->patterns, &pattern->node);
	free(pattern);
}

/* ---- mutes ---- */

struct mute *index_mute(const struct user *user, const char *conversation)
{
	struct mute *mute = user && user->settings ? user->settings->mutes : NULL;

	while (mute && strcmp(mute->conversation, conversation) != 0)
		mute = mute->next;
	return mute;
}

enum err index_mute_add(
	struct index *index, struct user *user, const char *conversation, int64_t until_ms)
{
	size_t size = strlen(conversation) + 1;
	struct mute *mute = malloc(sizeof(*mute) + size);
	struct settings *settings;

	if (!mute || index_settings_get(user, &settings)) {
		free(mute);
		return ERR_NOMEM;
	}
	memcpy(mute->conversation, conversation, size);
	mute->until_ms = until_ms;
	mute->next = settings->mutes;
	settings->mutes = mute;
	settings->mute_count++;
	index->mutes++;
	return ERR_OK;
}

void index_mute_remove(struct index *index, struct user *user, struct mute *mute)
{
	struct mute **at = &user->settings->mutes;

	while (*at != mute)
		at = &(*at)->next;
	*at = mute->next;
	user->settings->mute_count--;
	index->mutes--;
	free(mute);
}
