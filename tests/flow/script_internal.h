/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_SCRIPT_INTERNAL_H
#define TESTS_FLOW_SCRIPT_INTERNAL_H

#include <stdbool.h>

#include "world.h"

#define WORDS_MAX 48

/* One step of a scenario, cut into words. */
struct step {
	struct world *world;
	int number;
	const char *text; /* the line, `$` expanded */
	char *words[WORDS_MAX + 1];
	size_t count;
};

/* Fails the test with the step and a reason. */
void step_fail(const struct step *step, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* A word, which must be there. */
const char *step_word(const struct step *step, size_t index);

/* Splits KEY=VALUE; false for a word without `=`. The key is cut off in place. */
bool step_pair(char *word, const char **key, const char **value);

/* `a` is 64 of them; anything longer stands for itself. Borrowed until the next call. */
const char *step_token(const char *text);

/* script_event.c: `>`, `phone`. rest: the line behind `>`. */
void step_send(struct step *step, uint64_t client, enum client_role role, const char *rest);
void step_phone(struct step *step);

/* script_reply.c: `<`, `quiet`. */
void step_reply(struct step *step, uint64_t client);
void step_quiet(const struct step *step);

/* script_hook.c: `hook`, `no hook`. */
void step_hook(struct step *step);
void step_no_hook(const struct step *step);

/* script_push.c: `push`, `payload` and what becomes of a push. */
bool step_about_push(struct step *step);

#endif
