/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DIRECTORY_INDEX_H
#define PBXPUSH_DIRECTORY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/base/map.h>
#include <pbxpush/core/device.h>
#include <pbxpush/directory/directory.h>

/*
 * Everything the directory knows, in memory: compact, and found in one or two steps. It knows
 * neither the disk nor the rules of registration.
 */

/* Longest name of an app that we keep, with its NUL. */
#define APP_SIZE 256

/* A token as it is kept: half the size of its hex form. */
struct token {
	uint16_t len;                         /* of key; 0: no token */
	uint8_t key[1 + PUSH_TOKEN_SIZE / 2]; /* [0] is 1 for an odd number of digits */
};

/* ERR_INVAL unless it is 32 to 512 lower-case hex digits. NULL is no token. */
enum err token_pack(const char *hex, struct token *out);
void token_unpack(const uint8_t *key, size_t len, char out[PUSH_TOKEN_SIZE]);

enum { LIST_COUNT = 2 };

struct user {
	struct map_node node;
	struct record *devices;
	struct settings *settings; /* NULL for most: nothing is set */
	char name[];               /* AOR, or `*`, `*@domain` as the owner of lists */
};

struct settings {
	struct pattern *patterns[LIST_COUNT];
	struct mute *mutes;
	size_t mute_count;
	char *schedule; /* NULL: none */
	int64_t dnd_until_ms;
	bool dnd;
	int8_t call_waiting; /* -1: not set */
};

struct mute {
	struct mute *next;
	int64_t until_ms; /* 0: without end */
	char conversation[];
};

/* What a record says besides its texts. */
struct facts {
	const char *app; /* interned, "" without push data */
	int64_t registered_until_ms, seen_ms, died_ms, dnd_until_ms;
	uint8_t mode, environment, learned, token_state, alert_token_state; /* enums of device.h */
	uint16_t ghosts;
	bool present; /* counted in index.registered */
	bool dnd, woke_once;
};

/* One device, small for there are many. Its texts never change: what changes them makes a new
 * record (index_replace). record_facts() and index_update() know where which fact is. */
struct record {
	struct map_node token_node; /* in index.tokens */
	struct user *user;
	struct record *next; /* of the user */
	const char *app;
	struct rare *rare; /* NULL for most */
	int64_t registered_until_ms, seen_ms;
	uint16_t token_len, contact_len;
	uint8_t mode, environment, learned, token_state, name_len;
	bool present, woke_once;
	char data[]; /* token key, name NUL, contact NUL */
};

/* What few devices have. */
struct rare {
	struct map_node alert_node; /* in index.alerts, where there is such a token */
	struct record *record;
	int64_t died_ms, dnd_until_ms;
	uint16_t ghosts, alert_len;
	uint8_t alert_token_state;
	bool dnd;
	uint8_t alert[];
};

struct record_text {
	const char *name, *contact;
	const struct token *token, *alert;
};

/* An entry of a list of numbers. */
struct pattern {
	struct map_node node;
	struct user *user;
	struct pattern *next, **prev;
	uint8_t list;
	char text[];
};

struct index {
	struct map users, tokens, alerts, patterns, apps;
	struct user **recent; /* who was looked up last: a call asks for one user many times */
	size_t owners;        /* users with a device */
	size_t devices;       /* with push data */
	size_t dead;          /* of these */
	size_t registered;    /* records marked present */
	size_t mutes;
};

enum err index_init(struct index *index);
void index_free(struct index *index);

/* The one copy of an app's name, or NULL without memory. Lives as long as the index. */
const char *index_app(struct index *index, const char *app);

struct user *index_user(const struct index *index, const char *name);
enum err index_user_get(struct index *index, const char *name, struct user **out);
/* The user's settings, made where there are none. */
enum err index_settings_get(struct user *user, struct settings **out);
/* Frees settings that set nothing, and a user of whom nothing is known any more. */
void index_user_drop(struct index *index, struct user *user);

/* A record that is in no index yet; texts are copied. NULL without memory. */
struct record *record_new(const struct facts *facts, const struct record_text *text);
struct record *record_clone(const struct record *record);
/* Accepts NULL. */
void record_free(struct record *record);
struct facts record_facts(const struct record *record);
/* ERR_NOMEM has changed nothing. Of a record in the index: index_update(). */
enum err record_set(struct record *record, const struct facts *facts);

const uint8_t *record_token(const struct record *record);
const uint8_t *record_alert(const struct record *record);
size_t record_alert_len(const struct record *record);
const char *record_name(const struct record *record);
const char *record_contact(const struct record *record);

/* True for what belongs on disk: push data, or a do-not-disturb. */
bool record_durable(const struct record *record);
bool record_has_push(const struct record *record);
bool record_has_token(const struct record *record, const struct token *token);
bool record_has_alert(const struct record *record, const struct token *token);
/* True when the token that a call would use is dead. */
bool record_dead(const struct record *record);
/* After a 410, and only then, a REGISTER later than it revives. Returns whether anything
 * changed. */
bool facts_revive(struct facts *facts, int64_t now_ms);
void record_copy(const struct record *record, struct device *out);

/* Gives the record to the user (at the end of its devices), who owns it from now on. */
void index_add(struct index *index, struct user *user, struct record *record);
/* Puts `record` where `old` was, and frees old. */
void index_replace(struct index *index, struct record *old, struct record *record);
/* Takes the record out and frees it. The user stays. */
void index_remove(struct index *index, struct record *record);

/* record_set() that keeps the figures right. */
enum err index_update(struct index *index, struct record *record, const struct facts *facts);

struct record *index_device(const struct user *user, const char *name);
/* Holders of a token one after the other: NULL for the first. */
struct record *index_next_token(
	const struct index *index, const struct token *token, const struct record *after);
struct record *index_next_alert(
	const struct index *index, const struct token *token, const struct record *after);

struct pattern *index_pattern(const struct index *index, const struct user *user,
	enum directory_list list, const char *text, size_t len);
/* ERR_NOMEM. Must not be there yet. */
enum err index_pattern_add(
	struct index *index, struct user *user, enum directory_list list, const char *text);
void index_pattern_remove(struct index *index, struct pattern *pattern);

/* NULL where there is none. */
struct mute *index_mute(const struct user *user, const char *conversation);
/* ERR_NOMEM. Must not be there yet. */
enum err index_mute_add(
	struct index *index, struct user *user, const char *conversation, int64_t until_ms);
void index_mute_remove(struct index *index, struct user *user, struct mute *mute);

#endif
