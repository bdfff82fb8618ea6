/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_DIRECTORY_SCRIPT_H
#define TESTS_UNIT_DIRECTORY_SCRIPT_H

#include <pbxpush/base/buf.h>

#include "directory_fixture.h"

/*
 * What events do to the devices of users, as scripts: steps, what the directory then says, and
 * what it still says after a restart.
 */
#define STEPS    6
#define FOREVER  1000000
#define APP      "com.example.phone"
#define OTHER    "com.example.other"
#define CONTACT  "sip:1001@192.0.2.1:5060;ob"
#define CONTACT2 "sip:1001@192.0.2.1:5062;ob"

enum op {
	END,
	REGISTER, /* with push data where it names a token, expires FOREVER */
	UNREGISTER,
	FORGET,
	FORGET_TOKEN,
	DEAD_400,
	DEAD_410,
	LEARN,
	DND,
	TICK,
};

struct step {
	enum op op;
	int64_t at;
	const char *user, *device, *contact;
	char token, alert; /* a token of this digit; 0: none */
	const char *app;   /* NULL: APP */
	enum device_environment environment;
	enum device_mode mode;
	bool one; /* accounts = one */
	bool web; /* by another way than a REGISTER */
	int64_t expires;
};

struct script {
	const char *name;
	struct step steps[STEPS];
	const char *result; /* of the last REGISTER: device, `dead`, `from USER`; NULL: not asked */
	const char *devices; /* see write_device() */
	const char *later;   /* after a restart, NULL: the same */
};

/* user/name TOKEN:ALERT, `!` after a dead one, `?` after an unregistered one, then what is not
 * usual */
static inline void write_device(struct buf *out, const struct device *d)
{
	static const char *const mark[] = {"", "!", "?"};

	buf_printf(out, "%s%s/%s %c%s:%c%s", out->len ? "; " : "", d->user, d->name,
		d->token[0] ? d->token[0] : '-', mark[d->token_state],
		d->alert_token[0] ? d->alert_token[0] : '-', mark[d->alert_token_state]);
	if (strcmp(d->app, APP) != 0)
		buf_printf(out, " app=%s", d->app);
	if (d->environment)
		buf_printf(out, " env=%s", device_environment_name(d->environment));
	if (d->learned)
		buf_printf(out, " learned=%s", device_environment_name(d->learned));
	if (d->mode)
		buf_printf(out, " mode=%s", device_mode_name(d->mode));
	if (!d->registered_until_ms)
		buf_add_str(out, " away");
	else if (d->registered_until_ms != FOREVER)
		buf_printf(out, " until=%lld", (long long)d->registered_until_ms);
	if (d->dnd)
		buf_add_str(out, " dnd");
	if (d->contact[0])
		buf_printf(out, " %s", strcmp(d->contact, CONTACT) == 0 ? "contact" : "contact2");
}

static inline void dump(const struct directory *dir, struct buf *out)
{
	static const char *const users[] = {"1001", "1002", "1003"};
	struct device devices[20];

	buf_reset(out);
	for (size_t u = 0; u < 3; u++) {
		size_t count = directory_devices(dir, users[u], devices, 20);
		for (size_t i = 0; i < count; i++)
			write_device(out, &devices[i]);
	}
}

static inline void script_register(struct fixture *f, const struct step *step, struct buf *result)
{
	const char *app = step->app ? step->app : APP;
	struct registration_result got;
	struct registration reg = {.user = step->user,
		.device = step->device,
		.contact = step->contact,
		.app = step->token || step->alert ? app : NULL,
		.token = token_of(step->token),
		.alert_token = token_of(step->alert),
		.environment = step->environment,
		.mode = step->mode,
		.presence = !step->web,
		.expires_ms = step->expires ? step->expires : FOREVER,
		.now_ms = step->at,
		.single_account = step->one};

	assert_int_equal(TAKE(f, directory_register(f->dir, &reg, &got, fixture_done, f)), ERR_OK);
	buf_reset(result);
	buf_printf(result, "%s%s%s%s", got.device, got.token_dead ? " dead" : "",
		got.moved_from[0] ? " from " : "", got.moved_from);
}

static inline void script_step(struct fixture *f, const struct step *step, struct buf *result)
{
	enum err err = ERR_OK;
	size_t count;
	bool known;

	switch (step->op) {
	case END:
		break;
	case REGISTER:
		script_register(f, step, result);
		break;
	case UNREGISTER:
		err = TAKE(f, directory_unregister(f->dir, step->user, step->device, step->contact,
				      &known, fixture_done, f));
		break;
	case FORGET:
		err = TAKE(f, directory_forget(
				      f->dir, step->user, step->device, &count, fixture_done, f));
		break;
	case FORGET_TOKEN:
		err = TAKE(f, directory_forget_token(
				      f->dir, token_of(step->token), &count, fixture_done, f));
		break;
	case DEAD_400:
		directory_mark_dead(f->dir, token_of(step->token), TOKEN_DEAD, 0);
		break;
	case DEAD_410:
		directory_mark_dead(f->dir, token_of(step->token), TOKEN_UNREGISTERED, step->at);
		break;
	case LEARN:
		directory_learn_environment(f->dir, token_of(step->token), step->environment);
		break;
	case DND:
		err = TAKE(f, directory_set_dnd(
				      f->dir, step->user, step->device, true, 0, fixture_done, f));
		break;
	case TICK:
		directory_tick(f->dir, step->at);
		break;
	}
	assert_int_equal(err, ERR_OK);
}

/* settled: let every step reach the disk before the next, or run them in one breath. */
static inline int script_run(const struct script *script, bool settled)
{
	struct fixture f;
	struct buf result = {0}, devices = {0};
	const char *later = script->later ? script->later : script->devices;
	int bad = 0;

	fixture_new(&f, 16, 1000);
	fixture_open_at(&f, 1);
	for (int i = 0; i < STEPS; i++) {
		script_step(&f, &script->steps[i], &result);
		if (settled)
			fixture_settle(&f);
	}
	dump(f.dir, &devices);
	if (strcmp(buf_str(&devices), script->devices) != 0) {
		print_error("%s:\n  got  %s\n  want %s\n", script->name, buf_str(&devices),
			script->devices);
		bad = 1;
	}
	if (script->result && strcmp(buf_str(&result), script->result) != 0) {
		print_error(
			"%s: result %s, want %s\n", script->name, buf_str(&result), script->result);
		bad = 1;
	}
	fixture_reopen(&f, 1);
	dump(f.dir, &devices);
	if (strcmp(buf_str(&devices), later) != 0) {
		print_error("%s, after a restart:\n  got  %s\n  want %s\n", script->name,
			buf_str(&devices), later);
		bad = 1;
	}
	assert_int_equal(f.bad, 0);
	fixture_free(&f);
	buf_free(&result);
	buf_free(&devices);
	return bad;
}

/* Each step by step, and in one breath. */
static inline void scripts_run(const struct script *scripts, size_t count)
{
	int bad = 0;

	for (size_t i = 0; i < count; i++) {
		bad += script_run(&scripts[i], true);
		bad += script_run(&scripts[i], false);
	}
	assert_int_equal(bad, 0);
}

#endif
