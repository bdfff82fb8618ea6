/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DIRECTORY_DIRECTORY_H
#define PBXPUSH_DIRECTORY_DIRECTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/device.h>

/*
 * Users, devices, do-not-disturb and lists. Lookups are answered from an index in memory; SQLite
 * (WAL, user_version migrations) is the store of record. A change holds for the next lookup at
 * once, and its `done` runs on the loop's thread when it is on disk: changes are committed in
 * groups by a thread of their own, so that no write ever stalls a call.
 *
 * One thread uses a directory. Users are normalized AORs everywhere. Functions that take a
 * `done` (it may be NULL) return ERR_NOMEM, ERR_LIMIT (too many changes wait for a broken disk)
 * or ERR_INVAL (a text is empty or too long, a token is none) without having changed anything;
 * `done` then never runs.
 */
struct directory;

/* err: ERR_OK when the change is on disk, ERR_STORAGE when it is not (it still holds in memory and
 * is tried again until it is). Runs exactly once, never from inside the function that took it. */
typedef void directory_done_fn(void *arg, enum err err);

struct directory_options {
	const char *path;      /* the database, created 0600 with its folder existing */
	int max_devices;       /* a user; phones without tokens go first, then the longest unseen */
	int64_t device_ttl_ms; /* devices unseen for longer are forgotten; 0: never */
};

/* why receives a sentence for the administrator on failure: what is wrong with the file, and
 * what to do. */
enum err directory_open(const struct directory_options *options, int64_t now_ms,
	struct directory **out, char *why, size_t why_size);

/* New limits after a reload. The path cannot change while running. */
void directory_set_limits(struct directory *dir, int max_devices, int64_t device_ttl_ms);

/* Readable when changes have reached the disk; then call directory_collect() on the loop's
 * thread. */
int directory_fd(const struct directory *dir);
void directory_collect(struct directory *dir);

/* Waits until everything is on disk (every `done` runs), closes. Accepts NULL. */
void directory_close(struct directory *dir);

/* Once in a while (a minute is fine): forgets devices past their ttl, do-not-disturb and mutes past
 * their end, tries failed writes again. A step of bounded length. */
void directory_tick(struct directory *dir, int64_t now_ms);

/* False while the disk refuses changes; *why then says what SQLite says (static or owned by
 * dir). */
bool directory_healthy(const struct directory *dir, const char **why);

/* ---- devices ---- */

/* A REGISTER, or a token that came by another way. Strings may be NULL where absent. */
struct registration {
	const char *user;
	const char *device;  /* NULL: named after the token, or after nothing without one */
	const char *contact; /* contact URI */
	const char *app;     /* NULL together with both tokens: presence only, kept in memory */
	const char *token, *alert_token; /* lower-case hex */
	/* Unset where the phone did not say: then what is known of it stays, except that an
	 * environment goes with its token, and a mode with the lack of a VoIP token. A phone
	 * that merely has no VoIP token needs no mode. */
	enum device_mode mode;
	enum device_environment environment;
	bool presence;              /* a real REGISTER: the phone is there until expires_ms */
	int64_t expires_ms, now_ms; /* Unix ms */
	bool single_account;        /* accounts = one: the token leaves its other users */
};

struct registration_result {
	char device[DEVICE_NAME_SIZE]; /* "" where the phone identifies nothing */
	bool token_dead;               /* the token that a call would use */
	char moved_from[AOR_SIZE];     /* "" where the token was nobody else's */
};

/*
 * Stores or refreshes (CONTRACT 2.2): same device, new token: replaced. Same token, new device
 * name: renamed. A missing token erases neither. A new token or environment revives a dead one,
 * as does, after a 410, a REGISTER later than it. Without name and token a phone is known by its
 * contact. A phone without push data is not kept where max_devices with push data are known.
 */
enum err directory_register(struct directory *dir, const struct registration *reg,
	struct registration_result *result, directory_done_fn *done, void *arg);

/* No longer present; tokens stay. device or contact (compared with case) says which, a device
 * name first; both NULL: every device of the user. *known: whether anything matched. */
enum err directory_unregister(struct directory *dir, const char *user, const char *device,
	const char *contact, bool *known, directory_done_fn *done, void *arg);

/* Deletes a device, or with device NULL everything about the user. *count: devices deleted. */
enum err directory_forget(struct directory *dir, const char *user, const char *device,
	size_t *count, directory_done_fn *done, void *arg);

/* Deletes every device that has this token, under all users. */
enum err directory_forget_token(struct directory *dir, const char *token, size_t *count,
	directory_done_fn *done, void *arg);

/* The push service said that a token (of either kind) is dead, wherever it is known. state:
 * TOKEN_DEAD, or TOKEN_UNREGISTERED with the timestamp of the 410. A token that was registered
 * after died_ms is kept, a TOKEN_DEAD never becomes TOKEN_UNREGISTERED. died_ms of TOKEN_DEAD
 * may be 0. Returns the number of devices that changed. Durable, without a `done`. */
size_t directory_mark_dead(
	struct directory *dir, const char *token, enum token_state state, int64_t died_ms);

/* An accepted push under `auto` proved where the token is valid. Durable, without a `done`. */
void directory_learn_environment(
	struct directory *dir, const char *token, enum device_environment environment);

/* Whether a REGISTER followed a push to this device: where one once did, those that none follows
 * are counted (struct device, ghosts). A directory_register() with presence counts from 0 again. An
 * unknown device is ignored. Durable, without a `done`. */
void directory_note_wake(struct directory *dir, const char *user, const char *device, bool woke);

/* Copies the devices of a user, at most max; returns how many there are in out. */
size_t directory_devices(
	const struct directory *dir, const char *user, struct device *out, size_t max);

/* The device of a user by name, or by token; false where there is none. */
bool directory_find_device(
	const struct directory *dir, const char *user, const char *name, struct device *out);
bool directory_find_token(
	const struct directory *dir, const char *user, const char *token, struct device *out);

/* ---- policy ---- */

/* device NULL: of the user. ERR_NOTFOUND for a device that is not known. until_ms 0: without
 * end. */
enum err directory_set_dnd(struct directory *dir, const char *user, const char *device, bool on,
	int64_t until_ms, directory_done_fn *done, void *arg);

/* Do-not-disturb of the user (not of one device). Returns whether it is on; *until_ms 0: without
 * end. */
bool directory_dnd(const struct directory *dir, const char *user, int64_t *until_ms);

/* Longest text of a schedule in bytes, without its NUL. */
#define SCHEDULE_MAX 16384

/* The weekly do-not-disturb of a user: a text that means nothing to the directory. "" clears it.
 * ERR_INVAL where it is too long. */
enum err directory_set_schedule(struct directory *dir, const char *user, const char *text,
	directory_done_fn *done, void *arg);

/* "" where there is none. Borrowed until the next change. */
const char *directory_schedule(const struct directory *dir, const char *user);

enum err directory_set_call_waiting(
	struct directory *dir, const char *user, bool on, directory_done_fn *done, void *arg);

/* -1: not set, 0: off, 1: on. */
int directory_call_waiting(const struct directory *dir, const char *user);

/* Longest name of a conversation, with its NUL. */
#define CONVERSATION_SIZE 256

/* ERR_LIMIT also where the user has 1,000 mutes (or all users two million). until_ms 0: without
 * end. Adding twice sets the new end, removing what is not there is no fault. */
enum err directory_mute_add(struct directory *dir, const char *user, const char *conversation,
	int64_t until_ms, directory_done_fn *done, void *arg);
enum err directory_mute_remove(struct directory *dir, const char *user, const char *conversation,
	directory_done_fn *done, void *arg);

bool directory_is_muted(
	const struct directory *dir, const char *user, const char *conversation, int64_t now_ms);

/* Calls fn for each mute of the user, also for one that is over and was not yet swept. */
void directory_mute_each(const struct directory *dir, const char *user,
	void (*fn)(void *arg, const char *conversation, int64_t until_ms), void *arg);

enum directory_list { LIST_BLOCK, LIST_ALLOW };

/* ERR_LIMIT also when the lists are full (two million entries together).
 * pattern: a number as number_normalize() writes it, a prefix with `*` at its end, or `anonymous`.
 * user: an AOR, `*`, or `*@domain`. Adding twice and removing what is not there are no faults. */
enum err directory_list_add(struct directory *dir, const char *user, enum directory_list list,
	const char *pattern, directory_done_fn *done, void *arg);
enum err directory_list_remove(struct directory *dir, const char *user, enum directory_list list,
	const char *pattern, directory_done_fn *done, void *arg);

/* The entry that matches a normalized number (or `anonymous`) for this user: the user's own
 * entries first, then the tenant's, then everyone's; exact before prefix. NULL where none does.
 * Its cost depends on the length of the number, not of the list. Borrowed until the next change. */
const char *directory_list_match(const struct directory *dir, const char *user,
	enum directory_list list, const char *number);

/* Calls fn for each entry of exactly this user. */
void directory_list_each(const struct directory *dir, const char *user, enum directory_list list,
	void (*fn)(void *arg, const char *pattern), void *arg);

/* ---- export ---- */

enum directory_item_kind {
	ITEM_DEVICE,       /* device, with its own do-not-disturb */
	ITEM_DND,          /* until_ms */
	ITEM_SCHEDULE,     /* text */
	ITEM_CALL_WAITING, /* on */
	ITEM_MUTE,         /* text: the conversation; until_ms */
	ITEM_BLOCK,        /* text: the pattern */
	ITEM_ALLOW,        /* text: the pattern */
};

/* One thing that is stored. All pointers are borrowed until the function that got it returns. */
struct directory_item {
	enum directory_item_kind kind;
	const char *user;
	const struct device *device;
	const char *text;
	int64_t until_ms; /* 0: without end */
	bool on;
};

typedef void directory_item_fn(void *arg, const struct directory_item *item);

/* Where an export is. `{0}` is the beginning; nothing needs to be freed. */
struct directory_cursor {
	uint64_t place;
	bool in_lists, at_end;
};

/*
 * A short step of an export (about 200 items; up to 1,000 more where a user has so many mutes):
 * calls fn, which must not change the directory, for each item. Returns whether there is more.
 * What the file holds, full tokens included: phones that are merely present are left out.
 *
 * The directory may change between two steps. What is there all the while comes exactly once, what
 * comes or goes meanwhile may or may not. The order is that of the index: all of one user together,
 * devices first, then the entries of all lists; it is the same until a restart.
 */
bool directory_export(const struct directory *dir, struct directory_cursor *cursor,
	directory_item_fn *fn, void *arg);

/* ---- figures ---- */

struct directory_stats {
	size_t users;      /* with a device */
	size_t devices;    /* with push data */
	size_t dead;       /* of these: the token that a call would use is dead */
	size_t registered; /* presences; of many users, only directory_tick() ends them */
	size_t unwritten;  /* changes not yet on disk */
	size_t entries;    /* of all lists */
};

/* Cheap whatever the size. now_ms: Unix ms. */
void directory_stats(const struct directory *dir, int64_t now_ms, struct directory_stats *out);

#endif
