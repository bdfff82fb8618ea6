/* SPDX-License-Identifier: MIT */
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
static void write_device(struct buf *out, const struct device *d)
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

static void dump(const struct directory *dir, struct buf *out)
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

static const struct script scripts[] = {
	/* names */
	{.name = "a new device",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}},
		"iphone",
		"1001/iphone a:-"},
	{.name = "both tokens",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'}},
		"iphone",
		"1001/iphone a:1"},
	{.name = "without a name: after the token",
		{{.op = REGISTER, 10, "1001", NULL, NULL, 'a', '1'}},
		"token-aaaaaaaa",
		"1001/token-aaaaaaaa a:1"},
	{.name = "without a name, alert token only",
		{{.op = REGISTER, 10, "1001", NULL, NULL, 0, '1'}},
		"token-11111111",
		"1001/token-11111111 -:1"},
	{.name = "without a name, known by its token",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 20, "1001", NULL, NULL, 'a'}},
		"iphone",
		"1001/iphone a:-"},
	{.name = "without a name, known by its alert token",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'},
			{.op = REGISTER, 20, "1001", NULL, NULL, 0, '1'}},
		"iphone",
		"1001/iphone a:1"},
	{.name = "a real name replaces the one after the token",
		{{.op = REGISTER, 10, "1001", NULL, NULL, 'a'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone",
		"1001/iphone a:-"},
	{.name = "same token, new name: renamed, with what is set for it",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1', .mode = MODE_ALERT},
			{.op = DND, 11, "1001", "iphone"},
			{.op = REGISTER, 20, "1001", "ipad", NULL, 'a'}},
		"ipad",
		"1001/ipad a:1 mode=alert dnd"},
	{.name = "the token of one known device comes from another: they are one",
		{{.op = REGISTER, 10, "1001", "old", NULL, 'b', '1'},
			{.op = DND, 11, "1001", "old"},
			{.op = REGISTER, 12, "1001", "new", NULL, 'a'},
			{.op = REGISTER, 20, "1001", "new", NULL, 'b'}},
		"new",
		"1001/new b:1 dnd"},

	/* tokens */
	{.name = "same device, new token: replaced",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'b'}},
		"iphone",
		"1001/iphone b:-"},
	{.name = "a REGISTER without alert token erases none",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'b'}},
		"iphone",
		"1001/iphone b:1"},
	{.name = "a REGISTER without VoIP token erases none",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 0, '2'}},
		"iphone",
		"1001/iphone a:2"},
	{.name = "a REGISTER without any token erases none",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'},
			{.op = REGISTER, 20, "1001", "iphone"}},
		"iphone",
		"1001/iphone a:1"},
	{.name = "tokens of another app do not stay",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'b', .app = OTHER}},
		"iphone",
		"1001/iphone b:- app=" OTHER},
	{.name = "a token under a second user: shared",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 20, "1002", "iphone", NULL, 'a'}},
		"iphone",
		"1001/iphone a:-; 1002/iphone a:-"},
	{.name = "a token under a second user: moved",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 20, "1002", "iphone", NULL, 'a', .one = true}},
		"iphone from 1001",
		"1002/iphone a:-"},
	{.name = "moved by its alert token",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'},
			{.op = REGISTER, 20, "1002", "x", NULL, 'b', '1', .one = true}},
		"x from 1001",
		"1002/x b:1"},
	{.name = "moved from all who shared it",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1002", "iphone", NULL, 'a'},
			{.op = REGISTER, 20, "1003", NULL, NULL, 'a', .one = true}},
		NULL,
		"1003/token-aaaaaaaa a:-"},
	{.name = "its own user is nobody to move from",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', .one = true},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a', .one = true}},
		"iphone",
		"1001/iphone a:-"},

	/* environment and mode */
	{.name = "what a REGISTER leaves out stays as it was",
		{{.op = REGISTER,
			 10,
			 "1001",
			 "iphone",
			 NULL,
			 'a',
			 .environment = ENVIRONMENT_SANDBOX,
			 .mode = MODE_ALERT},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone",
		"1001/iphone a:- env=sandbox mode=alert"},
	{.name = "an environment belongs to a token, a mode to the phone",
		{{.op = REGISTER,
			 10,
			 "1001",
			 "iphone",
			 NULL,
			 'a',
			 .environment = ENVIRONMENT_SANDBOX,
			 .mode = MODE_ALERT},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'b'}},
		"iphone",
		"1001/iphone b:- mode=alert"},
	{.name = "the mode of a phone that had no VoIP token ends with the first",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 0, '1', .mode = MODE_ALERT},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a', '1'}},
		"iphone",
		"1001/iphone a:1"},
	{.name = "learned for every holder, kept by a REGISTER",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1002", "iphone", NULL, 'a'},
			{.op = LEARN, .token = 'a', .environment = ENVIRONMENT_SANDBOX},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone",
		"1001/iphone a:- learned=sandbox; 1002/iphone a:- learned=sandbox"},
	{.name = "a new token has to be learned anew",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = LEARN, .token = 'a', .environment = ENVIRONMENT_SANDBOX},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'b'}},
		"iphone",
		"1001/iphone b:-"},

	/* presence */
	{.name = "a token by another way brings no presence",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', .web = true}},
		"iphone",
		"1001/iphone a:- away"},
	{.name = "and takes none away",
		{{.op = REGISTER, 10, "1001", "iphone"},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a', .web = true}},
		"iphone",
		"1001/iphone a:-"},
	{.name = "without push data: known by name, in memory alone",
		{{.op = REGISTER, 10, "1001", "desk", CONTACT}},
		"desk",
		"1001/desk -:- app= contact",
		""},
	{.name = "without push data and name: known by contact",
		{{.op = REGISTER, 10, "1001", NULL, CONTACT},
			{.op = REGISTER, 11, "1001", NULL, CONTACT2},
			{.op = REGISTER, 20, "1001", NULL, CONTACT, .expires = 500}},
		"",
		"1001/ -:- app= until=500 contact; 1001/ -:- app= contact2",
		""},
	{.name = "without anything",
		{{.op = REGISTER, 10, "1001"}, {.op = REGISTER, 20, "1001"}},
		"",
		"1001/ -:- app=",
		""},
	{.name = "without anything is not a phone that named itself later",
		{{.op = REGISTER, 10, "1001"}, {.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone",
		"1001/ -:- app=; 1001/iphone a:-",
		"1001/iphone a:-"},
	{.name = "a contact alone refreshes the device that has it",
		{{.op = REGISTER, 10, "1001", "iphone", CONTACT, 'a', .expires = 100},
			{.op = REGISTER, 20, "1001", NULL, CONTACT}},
		"iphone",
		"1001/iphone a:- contact"},
	{.name = "a phone known by its contact alone says who it is",
		{{.op = REGISTER, 10, "1001", NULL, CONTACT},
			{.op = REGISTER, 20, "1001", "iphone", CONTACT, 'a'}},
		"iphone",
		"1001/iphone a:- contact"},
	{.name = "a known phone takes over what came without name",
		{{.op = REGISTER, 10, "1001", "iphone", CONTACT2, 'a'},
			{.op = REGISTER, 11, "1001", NULL, CONTACT},
			{.op = REGISTER, 20, "1001", "iphone", CONTACT}},
		"iphone",
		"1001/iphone a:- contact"},
	{.name = "two phones behind two routers have the same contact",
		{{.op = REGISTER, 10, "1001", "iphone", CONTACT, 'a'},
			{.op = REGISTER, 20, "1001", "ipad", CONTACT, 'b'}},
		"ipad",
		"1001/iphone a:- contact; 1001/ipad b:- contact",
		"1001/ipad b:- contact; 1001/iphone a:- contact"},
	{.name = "a REGISTER of the web with nothing in it leaves nothing",
		{{.op = REGISTER, 10, "1001", "iphone", .web = true}},
		"iphone",
		""},

	/* unregister */
	{.name = "unregistered by name: the token stays",
		{{.op = REGISTER, 10, "1001", "iphone", CONTACT, 'a'},
			{.op = REGISTER, 10, "1001", "ipad", NULL, 'b'},
			{.op = UNREGISTER, 20, "1001", "iphone"}},
		NULL,
		"1001/iphone a:- away contact; 1001/ipad b:-",
		"1001/ipad b:-; 1001/iphone a:- away contact"},
	{.name = "unregistered by contact, with case",
		{{.op = REGISTER, 10, "1001", "iphone", CONTACT, 'a'},
			{.op = UNREGISTER, 20, "1001", NULL, "SIP:1001@192.0.2.1:5060;ob"},
			{.op = REGISTER, 21, "1001", "ipad", CONTACT2, 'b'},
			{.op = UNREGISTER, 22, "1001", NULL, CONTACT2}},
		NULL,
		"1001/iphone a:- contact; 1001/ipad b:- away contact2",
		"1001/ipad b:- away contact2; 1001/iphone a:- contact"},
	{.name = "unregistered, all",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1001", "desk"},
			{.op = REGISTER, 12, "1001", NULL, CONTACT},
			{.op = REGISTER, 13, "1002", "x", NULL, 'b'},
			{.op = UNREGISTER, 20, "1001"}},
		NULL,
		"1001/iphone a:- away; 1002/x b:-"},
	{.name = "of phones without names the contact decides",
		{{.op = REGISTER, 10, "1001", NULL, CONTACT},
			{.op = REGISTER, 11, "1001", NULL, CONTACT2},
			{.op = UNREGISTER, 20, "1001", "", CONTACT}},
		NULL,
		"1001/ -:- app= contact2",
		""},

	/* forget */
	{.name = "forget a device",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1001", "ipad", NULL, 'b'},
			{.op = FORGET, 20, "1001", "iphone"}},
		NULL,
		"1001/ipad b:-"},
	{.name = "forget a user",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1001", "desk"},
			{.op = REGISTER, 12, "1002", "x", NULL, 'b'}, {.op = FORGET, 20, "1001"}},
		NULL,
		"1002/x b:-"},
	{.name = "forget a token under all users",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1002", "x", NULL, 'a'},
			{.op = REGISTER, 12, "1003", "y", NULL, 'b', 'a'},
			{.op = FORGET_TOKEN, 20, .token = 'a'}},
		NULL,
		""},
	{.name = "forgotten is not dead: the token comes back",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = FORGET, 20, "1001", "iphone"},
			{.op = REGISTER, 30, "1001", "iphone", NULL, 'a'}},
		"iphone",
		"1001/iphone a:-"},

	/* dead tokens */
	{.name = "400: a REGISTER does not revive",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone dead",
		"1001/iphone a!:-"},
	{.name = "400: a new token does",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'b'}},
		"iphone",
		"1001/iphone b:-"},
	{.name = "400: a new environment does",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = REGISTER,
				20,
				"1001",
				"iphone",
				NULL,
				'a',
				.environment = ENVIRONMENT_SANDBOX}},
		"iphone",
		"1001/iphone a:- env=sandbox"},
	{.name = "400: a new name does not",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = REGISTER, 20, "1001", "ipad", NULL, 'a'}},
		"ipad dead",
		"1001/ipad a!:-"},
	{.name = "400: another user does not",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = REGISTER, 20, "1002", "iphone", NULL, 'a'}},
		"iphone dead",
		"1001/iphone a!:-; 1002/iphone a!:-"},
	{.name = "400: a known device that takes over the token does not",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1001", "x", NULL, 'b'},
			{.op = DEAD_400, .token = 'a'},
			{.op = REGISTER, 20, "1001", "x", NULL, 'a'}},
		"x dead",
		"1001/x a!:-"},
	{.name = "400 of one kind of token leaves the other",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1'},
			{.op = DEAD_400, .token = '1'}},
		"iphone",
		"1001/iphone a:1!"},
	{.name = "400 is for every holder",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1002", "x", NULL, 'a'},
			{.op = DEAD_400, .token = 'a'}},
		NULL,
		"1001/iphone a!:-; 1002/x a!:-"},
	{.name = "410 softens no 400",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = DEAD_410, 15, .token = 'a'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone dead",
		"1001/iphone a!:-"},
	{.name = "410 at the time of the REGISTER",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = DEAD_410, 10, .token = 'a'}},
		NULL,
		"1001/iphone a?:-"},
	{.name = "410 older than the registration: kept",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = DEAD_410, 9, .token = 'a'}},
		NULL,
		"1001/iphone a:-"},
	{.name = "410 older than the registration under another user: kept",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 20, "1002", "x", NULL, 'a'},
			{.op = DEAD_410, 15, .token = 'a'}},
		NULL,
		"1001/iphone a:-; 1002/x a:-"},
	{.name = "410: a REGISTER later than it revives",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = DEAD_410, 15, .token = 'a'},
			{.op = REGISTER, 16, "1001", "iphone", NULL, 'a'}},
		"iphone",
		"1001/iphone a:-"},
	{.name = "410: for the other accounts on the phone too",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = REGISTER, 11, "1002", "x", NULL, 'a'},
			{.op = DEAD_410, 15, .token = 'a'},
			{.op = REGISTER, 16, "1002", "x", NULL, 'a'}},
		"x",
		"1001/iphone a:-; 1002/x a:-"},
	{.name = "410: an earlier REGISTER does not",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = DEAD_410, 15, .token = 'a'},
			{.op = REGISTER, 15, "1001", "iphone", NULL, 'a'}},
		"iphone dead",
		"1001/iphone a?:-"},
	{.name = "410: the latest one counts",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = DEAD_410, 15, .token = 'a'}, {.op = DEAD_410, 30, .token = 'a'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone dead",
		"1001/iphone a?:-"},
	{.name = "410, then 400",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a'},
			{.op = DEAD_410, 15, .token = 'a'}, {.op = DEAD_400, .token = 'a'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a'}},
		"iphone dead",
		"1001/iphone a!:-"},
	{.name = "dead alert token, a phone in alert mode",
		{{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', '1', .mode = MODE_ALERT},
			{.op = DEAD_400, .token = '1'},
			{.op = REGISTER, 20, "1001", "iphone", NULL, 'a', '1'}},
		"iphone dead",
		"1001/iphone a:1! mode=alert"},

	/* do-not-disturb brings a phone without push data to the disk */
	{.name = "do-not-disturb of a phone without push data",
		{{.op = REGISTER, 10, "1001", "desk"}, {.op = DND, 11, "1001", "desk"}},
		"desk",
		"1001/desk -:- app= dnd"},

	/* time */
	{.name = "presence that has run out: gone with a phone without push data",
		{{.op = REGISTER, 10, "1001", "desk", .expires = 50},
			{.op = REGISTER, 10, "1001", "dect", .expires = 90},
			{.op = REGISTER, 10, "1001", "iphone", NULL, 'a', .expires = 50},
			{.op = TICK, 60}},
		NULL,
		"1001/dect -:- app= until=90; 1001/iphone a:- until=50",
		"1001/iphone a:- until=50"},
	{.name = "devices past their ttl are forgotten",
		{{.op = REGISTER, 10, "1001", "old", NULL, 'a'},
			{.op = REGISTER, 1011, "1001", "young", NULL, 'b'},
			{.op = REGISTER, 11, "1002", "x", NULL, 'c'}, {.op = TICK, 2011}},
		NULL,
		"1001/young b:-"},
};

static void script_register(struct fixture *f, const struct step *step, struct buf *result)
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

static void script_step(struct fixture *f, const struct step *step, struct buf *result)
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
static int script_run(const struct script *script, bool settled)
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

static void registrations(void **state)
{
	int bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
		bad += script_run(&scripts[i], true);
		bad += script_run(&scripts[i], false);
	}
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(registrations)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
