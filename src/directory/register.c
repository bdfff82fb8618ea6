/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/contact.h>

#include "internal.h"

/*
 * What a REGISTER does to the devices of a user. It is planned first: which record it is about
 * (target), which others make way (losers), what the new record says. Only then anything changes.
 */
struct plan {
	struct directory *dir;
	const struct registration *reg;
	struct token token, alert; /* that came along */
	const char *contact;       /* "" where absent */
	bool has_push;
	struct user *user;     /* NULL: not known yet */
	struct record *target; /* NULL: a new device */
	struct record **losers;
	size_t loser_count, loser_room;
	char name[DEVICE_NAME_SIZE];
	struct record *record; /* what target becomes */
	struct changes changes;
};

static enum err plan_read(struct plan *plan)
{
	const struct registration *reg = plan->reg;

	if (!directory_text_fits(reg->user, AOR_SIZE) || !reg->user[0] ||
		(reg->device && !directory_text_fits(reg->device, DEVICE_NAME_SIZE)) ||
		(reg->contact && !directory_text_fits(reg->contact, CONTACT_SIZE)) ||
		(reg->app && !directory_text_fits(reg->app, APP_SIZE)) ||
		token_pack(reg->token, &plan->token) || token_pack(reg->alert_token, &plan->alert))
		return ERR_INVAL;
	plan->has_push = plan->token.len || plan->alert.len;
	if (plan->has_push && (!reg->app || !reg->app[0]))
		return ERR_INVAL;
	plan->contact = reg->contact ? reg->contact : "";
	if (reg->device)
		memcpy(plan->name, reg->device, strlen(reg->device) + 1);
	plan->user = index_user(&plan->dir->index, reg->user);
	return ERR_OK;
}

/* ---- target ---- */

static bool shares_token(const struct plan *plan, const struct record *record)
{
	return record_has_token(record, &plan->token) || record_has_alert(record, &plan->alert);
}

/* A contact is a weak name: two phones behind two routers may have the same. So it finds a phone
 * that said nothing better, or any phone for a REGISTER that says nothing better. */
static bool same_binding(const struct plan *plan, const struct record *record)
{
	bool says_nothing = !plan->name[0] && !plan->has_push;

	if (strcmp(record_contact(record), plan->contact) != 0)
		return false;
	return plan->contact[0] ? says_nothing || !record_name(record)[0]
				: says_nothing && !record_name(record)[0];
}

static struct record *find_record(
	const struct plan *plan, bool (*fits)(const struct plan *plan, const struct record *record))
{
	struct record *record = plan->user ? plan->user->devices : NULL;

	while (record && !fits(plan, record))
		record = record->next;
	return record;
}

/* "token-" and the first digits; a clash within the user gets a number. */
static void name_after_token(struct plan *plan)
{
	const struct token *token = plan->token.len ? &plan->token : &plan->alert;
	char hex[PUSH_TOKEN_SIZE];
	const struct record *other;

	token_unpack(token->key, token->len, hex);
	snprintf(plan->name, sizeof(plan->name), "token-%.*s", PUSH_TOKEN_SHOWN, hex);
	for (int n = 2; (other = index_device(plan->user, plan->name)) && other != plan->target;
		n++)
		snprintf(plan->name, sizeof(plan->name), "token-%.*s-%d", PUSH_TOKEN_SHOWN, hex, n);
}

static void plan_target(struct plan *plan)
{
	if (plan->name[0])
		plan->target = index_device(plan->user, plan->name);
	if (!plan->target && plan->has_push)
		plan->target = find_record(plan, shares_token);
	if (!plan->target)
		plan->target = find_record(plan, same_binding);
	if (!plan->name[0] && plan->target)
		strcpy(plan->name, record_name(plan->target));
	if (!plan->name[0] && plan->has_push)
		name_after_token(plan);
}

/* ---- losers ---- */

static bool is_loser(const struct plan *plan, const struct record *record)
{
	for (size_t i = 0; i < plan->loser_count; i++)
		if (plan->losers[i] == record)
			return true;
	return false;
}

static enum err add_loser(struct plan *plan, struct record *record)
{
	if (record == plan->target || is_loser(plan, record))
		return ERR_OK;
	if (plan->loser_count == plan->loser_room) {
		size_t room = plan->loser_room * 2 + 4;
		struct record **losers = realloc(plan->losers, room * sizeof(*losers));
		if (!losers)
			return ERR_NOMEM;
		plan->losers = losers;
		plan->loser_room = room;
	}
	plan->losers[plan->loser_count++] = record;
	return directory_add_record(&plan->changes, record);
}

/* Other records of this user that turn out to be this phone. */
static enum err add_doubles(struct plan *plan)
{
	enum err err = ERR_OK;

	for (struct record *r = plan->user ? plan->user->devices : NULL; r && !err; r = r->next) {
		bool unnamed_before = !record_name(r)[0] && plan->contact[0] &&
				      strcmp(record_contact(r), plan->contact) == 0;
		if (shares_token(plan, r) || unnamed_before)
			err = add_loser(plan, r);
	}
	return err;
}

/* accounts = one: the phone has changed hands, so all that the others know of it goes. */
static enum err add_former_owners(struct plan *plan, struct registration_result *result)
{
	const struct index *index = &plan->dir->index;
	struct record *record = NULL;
	enum err err = ERR_OK;

	if (!plan->reg->single_account)
		return ERR_OK;
	while (!err && (record = index_next_token(index, &plan->token, record)))
		if (record->user != plan->user)
			err = add_loser(plan, record);
	record = NULL;
	while (!err && (record = index_next_alert(index, &plan->alert, record)))
		if (record->user != plan->user)
			err = add_loser(plan, record);
	for (size_t i = 0; i < plan->loser_count && !result->moved_from[0]; i++)
		if (plan->losers[i]->user != plan->user)
			strcpy(result->moved_from, plan->losers[i]->user->name);
	return err;
}

/* The one to evict: phones without tokens first, then the longest unseen. */
static struct record *plan_victim(const struct plan *plan)
{
	struct record *victim = NULL;

	for (struct record *r = plan->user->devices; r; r = r->next) {
		if (is_loser(plan, r))
			continue;
		bool poorer = victim && record_has_push(victim) && !record_has_push(r);
		bool equal = victim && record_has_push(victim) == record_has_push(r);
		if (!victim || poorer || (equal && r->seen_ms < victim->seen_ms))
			victim = r;
	}
	return victim;
}

/* ERR_LIMIT when the new phone itself is the one that has to go. */
static enum err make_room(struct plan *plan)
{
	size_t count = 0;
	enum err err = ERR_OK;

	if (plan->target || !plan->user)
		return ERR_OK;
	for (const struct record *r = plan->user->devices; r; r = r->next)
		count += !is_loser(plan, r);
	for (; count >= plan->dir->max_devices && !err; count--) {
		struct record *victim = plan_victim(plan);
		if (!plan->has_push && record_has_push(victim))
			return ERR_LIMIT;
		err = add_loser(plan, victim);
	}
	return err;
}

/* ---- the new record ---- */

static bool replaces(const struct token *token, const uint8_t *old, size_t old_len)
{
	return token->len && old_len &&
	       (token->len != old_len || memcmp(token->key, old, old_len) != 0);
}

/* A token that does not come along stays, unless it belongs to another app. */
static void keep_token(struct token *token, const uint8_t *old, size_t old_len)
{
	if (token->len || !old_len)
		return;
	token->len = (uint16_t)old_len;
	memcpy(token->key, old, old_len);
}

/* A token that is dead under another name or user is no better under this one. */
static void inherit_death(const struct plan *plan, struct facts *facts)
{
	const struct index *index = &plan->dir->index;
	const struct record *old = plan->target;

	for (const struct record *r = NULL; (r = index_next_token(index, &plan->token, r));)
		if (r->token_state == TOKEN_DEAD && r->environment == facts->environment &&
			r->app == facts->app && !(old && record_has_token(old, &plan->token))) {
			facts->token_state = TOKEN_DEAD;
			facts->died_ms = record_facts(r).died_ms;
		}
}

/* What else was known of this phone under another name is not lost with that name. */
static void merge_doubles(
	const struct plan *plan, struct facts *facts, struct token *token, struct token *alert)
{
	for (size_t i = 0; plan->target && i < plan->loser_count; i++) {
		const struct record *r = plan->losers[i];
		const struct facts lost = record_facts(r);

		if (r->user != plan->user)
			continue;
		if (!facts->dnd) {
			facts->dnd = lost.dnd;
			facts->dnd_until_ms = lost.dnd_until_ms;
		}
		facts->woke_once |= lost.woke_once;
		if (r->app != facts->app)
			continue;
		if (!token->len)
			facts->token_state = lost.token_state;
		if (!alert->len)
			facts->alert_token_state = lost.alert_token_state;
		keep_token(token, record_token(r), r->token_len);
		keep_token(alert, record_alert(r), record_alert_len(r));
	}
}

/* Environment, mode and the states of the tokens. old: NULL for a new device. */
static void plan_push_fields(const struct plan *plan, const struct record *old, struct facts *facts)
{
	const struct registration *reg = plan->reg;
	bool new_app = old && facts->app != old->app;
	bool new_token = old && replaces(&plan->token, record_token(old), old->token_len);
	bool new_alert = old && replaces(&plan->alert, record_alert(old), record_alert_len(old));
	uint8_t environment = facts->environment;

	/* A token is bound to its environment: a new one that says nothing goes by the app's. */
	if (new_app || new_token || new_alert)
		facts->environment = ENVIRONMENT_UNSET;
	if (reg->environment != ENVIRONMENT_UNSET)
		facts->environment = (uint8_t)reg->environment;
	if (reg->mode != MODE_UNSET)
		facts->mode = (uint8_t)reg->mode;
	else if (new_app || (old && plan->token.len && !old->token_len))
		facts->mode = MODE_UNSET;
	bool moved = new_app || facts->environment != environment;
	if (moved || new_token || new_alert)
		facts->learned = ENVIRONMENT_UNSET;
	if (moved || new_token)
		facts->token_state = TOKEN_OK;
	if (moved || new_alert)
		facts->alert_token_state = TOKEN_OK;
}

static enum err plan_record(struct plan *plan)
{
	const struct registration *reg = plan->reg;
	const struct record *old = plan->target;
	struct facts facts = {.app = ""};
	struct token token = plan->token, alert = plan->alert;
	struct record_text text = {.name = plan->name, .token = &token, .alert = &alert};

	if (old)
		facts = record_facts(old);
	text.contact = reg->contact || !old ? plan->contact : record_contact(old);
	if (plan->has_push) {
		facts.app = index_app(&plan->dir->index, reg->app);
		if (!facts.app)
			return ERR_NOMEM;
		plan_push_fields(plan, old && record_has_push(old) ? old : NULL, &facts);
		inherit_death(plan, &facts);
	}
	if (old && facts.app == old->app) {
		keep_token(&token, record_token(old), old->token_len);
		keep_token(&alert, record_alert(old), record_alert_len(old));
	}
	merge_doubles(plan, &facts, &token, &alert);
	facts_revive(&facts, reg->now_ms);
	facts.seen_ms = reg->now_ms;
	if (reg->presence) {
		facts.registered_until_ms = reg->expires_ms;
		facts.ghosts = 0;
	}
	facts.present = facts.registered_until_ms > reg->now_ms;
	plan->record = record_new(&facts, &text);
	return plan->record ? ERR_OK : ERR_NOMEM;
}

/* ---- carrying it out ---- */

static enum err plan_changes(struct plan *plan)
{
	bool was = plan->target && record_durable(plan->target);
	bool will_be = record_durable(plan->record);
	enum err err = ERR_OK;

	if (was && strcmp(record_name(plan->target), plan->name) != 0)
		err = directory_add_record(&plan->changes, plan->target);
	if (!err && (was || will_be))
		err = changes_add(&plan->changes, CHANGE_DEVICE, plan->reg->user, plan->name);
	return err;
}

static void plan_execute(struct plan *plan)
{
	struct index *index = &plan->dir->index;

	for (size_t i = 0; i < plan->loser_count; i++) {
		struct user *user = plan->losers[i]->user;
		index_remove(index, plan->losers[i]);
		if (user != plan->user)
			index_user_drop(index, user);
	}
	if (plan->target)
		index_replace(index, plan->target, plan->record);
	else if (plan->record)
		index_add(index, plan->user, plan->record);
	plan->record = NULL;
}

static void answer(const struct plan *plan, struct registration_result *result)
{
	memcpy(result->device, plan->name, sizeof(plan->name));
	result->token_dead =
		plan->record && record_has_push(plan->record) && record_dead(plan->record);
}

static enum err plan_make(struct plan *plan, struct registration_result *result)
{
	enum err err = plan_read(plan);

	if (err)
		return err;
	plan_target(plan);
	err = add_doubles(plan);
	if (!err)
		err = add_former_owners(plan, result);
	if (err)
		return err;
	/* A token without a REGISTER behind it that brings no token either is nothing to keep. */
	if (!plan->target && !plan->has_push && !plan->reg->presence)
		return ERR_OK;
	err = make_room(plan);
	if (err == ERR_LIMIT)
		return ERR_OK;
	if (!err)
		err = plan_record(plan);
	if (!err)
		err = plan_changes(plan);
	return err;
}

enum err directory_register(struct directory *dir, const struct registration *reg,
	struct registration_result *result, directory_done_fn *done, void *arg)
{
	struct plan plan = {.dir = dir, .reg = reg};
	struct registration_result answered = {0};
	enum err err = plan_make(&plan, &answered);

	plan.changes.memory_only = !plan.changes.count;
	if (!err)
		err = writer_prepare(dir->writer, &plan.changes, done, arg);
	if (!err && !plan.user)
		err = index_user_get(&dir->index, reg->user, &plan.user);
	if (err)
		goto out;
	answer(&plan, &answered);
	*result = answered;
	plan_execute(&plan);
	writer_commit(dir->writer, &plan.changes);
	directory_revive(dir, &plan.token, reg->now_ms);
	directory_revive(dir, &plan.alert, reg->now_ms);
	index_user_drop(&dir->index, plan.user);
out:
	changes_drop(&plan.changes);
	record_free(plan.record);
	free(plan.losers);
	return err;
}
