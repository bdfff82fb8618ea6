/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_DEVICE_H
#define PBXPUSH_CORE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <pbxpush/core/aor.h>
#include <pbxpush/core/push.h>

#define DEVICE_NAME_SIZE 256

/* How a device is told of a call; unset: as its app says. */
enum device_mode { MODE_UNSET, MODE_VOIP, MODE_ALERT };
/* Where its tokens are valid; unset: as its app says. */
enum device_environment {
	ENVIRONMENT_UNSET,
	ENVIRONMENT_AUTO,
	ENVIRONMENT_PRODUCTION,
	ENVIRONMENT_SANDBOX
};

/* The names of the contract ("voip", "auto"); "" for unset. Static strings. */
const char *device_mode_name(enum device_mode mode);
const char *device_environment_name(enum device_environment environment);

/* Why a token must not be used. */
enum token_state {
	TOKEN_OK,
	TOKEN_DEAD, /* 400 in every environment: only a new token or environment revives it */
	TOKEN_UNREGISTERED, /* 410: a REGISTER later than died_ms revives it too */
};

/* A device of a user as the directory knows it: a copy, valid as long as its holder wants, except
 * for the pointers, which are borrowed until the directory is next changed. */
struct device {
	const char *user;            /* AOR */
	const char *name;            /* "" for a phone that names neither itself nor a token */
	const char *app;             /* bundle id, "" for a phone without push data */
	const char *contact;         /* contact URI of its last REGISTER, "" where unknown */
	char token[PUSH_TOKEN_SIZE]; /* PushKit's, "" where there is none */
	char alert_token[PUSH_TOKEN_SIZE];
	enum device_mode mode;
	enum device_environment environment; /* as registered */
	enum device_environment learned; /* what an accepted push proved under `auto`, else unset */
	enum token_state token_state, alert_token_state;
	int64_t died_ms;             /* when the token died, Unix ms */
	int64_t registered_until_ms; /* presence, Unix ms; 0: not registered */
	int64_t seen_ms;             /* last register event, Unix ms */
	bool dnd;                    /* do-not-disturb of this device alone is on … */
	int64_t dnd_until_ms;        /* … until then; 0: without end */
	int ghosts;                  /* pushes in a row that no REGISTER followed … */
	bool woke_once;              /* … counted only when one once did */
};

#endif
