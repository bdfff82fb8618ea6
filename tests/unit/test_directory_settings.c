/* SPDX-License-Identifier: MIT */
#include <pbxpush/base/buf.h>

#include "directory_fixture.h"

/* Schedules, call waiting, mutes, the ghost-call guard, what ends by itself, and the export. */

#define APP    "com.example.phone"
#define WEEKLY "{\"timezone\":\"Europe/Berlin\",\"windows\":[]}"

static enum err schedule(struct fixture *f, const char *user, const char *text)
{
	return TAKE(f, directory_set_schedule(f->dir, user, text, fixture_done, f));
}

static enum err waiting(struct fixture *f, const char *user, bool on)
{
	return TAKE(f, directory_set_call_waiting(f->dir, user, on, fixture_done, f));
}

static enum err mute(struct fixture *f, const char *user, const char *conversation, int64_t until)
{
	return TAKE(f, directory_mute_add(f->dir, user, conversation, until, fixture_done, f));
}

static enum err unmute(struct fixture *f, const char *user, const char *conversation)
{
	return TAKE(f, directory_mute_remove(f->dir, user, conversation, fixture_done, f));
}

static void dnd(struct fixture *f, const char *user, const char *device, int64_t until_ms)
{
	assert_int_equal(
		TAKE(f, directory_set_dnd(f->dir, user, device, true, until_ms, fixture_done, f)),
		ERR_OK);
}

static void block(struct fixture *f, const char *user, enum directory_list list, const char *text)
{
	assert_int_equal(
		TAKE(f, directory_list_add(f->dir, user, list, text, fixture_done, f)), ERR_OK);
}

static void put(struct fixture *f, const char *user, const char *device, char token, char alert,
	bool presence, int64_t now_ms)
{
	struct registration_result result;
	struct registration reg = {.user = user,
		.device = device,
		.contact = "sip:1001@192.0.2.1",
		.app = token || alert ? APP : NULL,
		.token = token_of(token),
		.alert_token = token_of(alert),
		.presence = presence,
		.expires_ms = now_ms + 1000,
		.now_ms = now_ms};

	assert_int_equal(
		TAKE(f, directory_register(f->dir, &reg, &result, fixture_done, f)), ERR_OK);
}

static void open_new(struct fixture *f)
{
	fixture_new(f, 16, 0);
	fixture_open_at(f, 1);
}

/* ---- the export, which is also how these tests look at everything ---- */

struct lines {
	char *lines[20000];
	size_t count;
};

static void add_line(void *arg, const struct directory_item *item)
{
	struct lines *lines = arg;
	struct buf out = {0};
	const struct device *d = item->device;

	buf_printf(&out, "%s ", item->user);
	switch (item->kind) {
	case ITEM_DEVICE:
		assert_string_equal(d->user, item->user);
		buf_printf(&out, "device %s %s:%s%s %d", d->name, d->token, d->alert_token,
			d->dnd ? " dnd" : "", d->ghosts);
		break;
	case ITEM_DND:
		buf_printf(&out, "dnd %lld", (long long)item->until_ms);
		break;
	case ITEM_SCHEDULE:
		buf_printf(&out, "schedule %s", item->text);
		break;
	case ITEM_CALL_WAITING:
		buf_printf(&out, "waiting %d", item->on);
		break;
	case ITEM_MUTE:
		buf_printf(&out, "mute %s %lld", item->text, (long long)item->until_ms);
		break;
	case ITEM_BLOCK:
		buf_printf(&out, "block %s", item->text);
		break;
	case ITEM_ALLOW:
		buf_printf(&out, "allow %s", item->text);
		break;
	}
	assert_true(lines->count < sizeof(lines->lines) / sizeof(lines->lines[0]));
	lines->lines[lines->count++] = buf_take(&out);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void lines_free(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->lines[i]);
	free(lines);
}

/* Everything, sorted. */
static struct lines *export_all(const struct directory *dir)
{
	struct lines *lines = calloc(1, sizeof(*lines));
	struct directory_cursor cursor = {0};

	assert_non_null(lines);
	while (directory_export(dir, &cursor, add_line, lines))
		;
	assert_false(directory_export(dir, &cursor, add_line, lines)); /* the end is the end */
	qsort(lines->lines, lines->count, sizeof(lines->lines[0]), compare_lines);
	return lines;
}

static void check_export(const struct fixture *f, const char *const wanted[])
{
	struct lines *lines = export_all(f->dir);

	for (size_t i = 0; i < lines->count || wanted[i]; i++) {
		if (i >= lines->count || !wanted[i] || strcmp(lines->lines[i], wanted[i]) != 0)
			fail_msg("got %s, want %s", i < lines->count ? lines->lines[i] : "nothing",
				wanted[i] ? wanted[i] : "nothing");
	}
	lines_free(lines);
}

/* Now, and after a restart. */
static void check_stored(struct fixture *f, const char *const wanted[])
{
	check_export(f, wanted);
	fixture_settle(f);
	fixture_reopen(f, 1);
	check_export(f, wanted);
}

#define A64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B64 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void put_everything(struct fixture *f)
{
	put(f, "1001", "iphone", 'a', 'b', true, 10);
	put(f, "1001", "ipad", 'b', 0, false, 10);
	put(f, "1002", "desk", 0, 0, true, 10); /* present only: not stored … */
	put(f, "1003", "desk", 0, 0, true, 10);
	dnd(f, "1003", "desk", 0); /* … but for its do-not-disturb */
	dnd(f, "1001", "iphone", 0);
	dnd(f, "1001", NULL, 5000);
	assert_int_equal(schedule(f, "1001", WEEKLY), ERR_OK);
	assert_int_equal(waiting(f, "1001", true), ERR_OK);
	assert_int_equal(waiting(f, "1004", false), ERR_OK);
	assert_int_equal(mute(f, "1001", "family", 0), ERR_OK);
	assert_int_equal(mute(f, "1001", "work", 7000), ERR_OK);
	block(f, "1001", LIST_BLOCK, "+4930*");
	block(f, "*", LIST_ALLOW, "+4990112");
}

static void everything_is_exported(void **state)
{
	struct fixture f;
	size_t count;

	(void)state;
	open_new(&f);
	check_stored(&f, (const char *const[]){NULL});
	put_everything(&f);
	check_stored(
		&f, (const char *const[]){"* allow +4990112", "1001 block +4930*",
			    "1001 device ipad " B64 ": 0",
			    "1001 device iphone " A64 ":" B64 " dnd 0", "1001 dnd 5000",
			    "1001 mute family 0", "1001 mute work 7000", "1001 schedule " WEEKLY,
			    "1001 waiting 1", "1003 device desk : dnd 0", "1004 waiting 0", NULL});

	/* forgetting a user takes all of it */
	assert_int_equal(
		TAKE(&f, directory_forget(f.dir, "1001", NULL, &count, fixture_done, &f)), ERR_OK);
	assert_int_equal(count, 2);
	assert_string_equal(directory_schedule(f.dir, "1001"), "");
	assert_int_equal(directory_call_waiting(f.dir, "1001"), -1);
	assert_false(directory_is_muted(f.dir, "1001", "family", 1));
	check_stored(&f, (const char *const[]){"* allow +4990112", "1003 device desk : dnd 0",
				 "1004 waiting 0", NULL});
	fixture_free(&f);
}

struct tally {
	size_t calls;
	int seen[3000];
};

static void tally_item(void *arg, const struct directory_item *item)
{
	struct tally *tally = arg;

	tally->calls++;
	tally->seen[atoi(item->kind == ITEM_DND ? item->user : item->text)]++;
}

/* 500 users and 500 entries of one list are there all the while, as many come during the export. */
static void export_while_it_changes(void **state)
{
	struct fixture f;
	struct tally tally = {0};
	struct directory_cursor cursor = {0};
	size_t longest = 0, before;
	int coming = 2000;
	char text[16];
	bool more = true;

	(void)state;
	open_new(&f);
	for (int i = 1; i <= 1000; i++) {
		snprintf(text, sizeof(text), "%d", i);
		if (i % 2)
			dnd(&f, text, NULL, 0);
		else
			block(&f, "*", LIST_BLOCK, text);
	}
	while (more) {
		before = tally.calls;
		more = directory_export(f.dir, &cursor, tally_item, &tally);
		if (tally.calls - before > longest)
			longest = tally.calls - before;
		for (int i = 0; i < 100 && coming < 3000; i++, coming++) {
			snprintf(text, sizeof(text), "%d", coming);
			if (coming % 2)
				dnd(&f, text, NULL, 0);
			else
				block(&f, "*", LIST_BLOCK, text);
		}
	}
	assert_in_range(longest, 1, 220); /* a step, and what else was in its last bucket */
	for (int i = 1; i < 3000; i++)
		assert_true(i <= 1000 ? tally.seen[i] == 1 : tally.seen[i] <= 1);
	fixture_settle(&f);
	fixture_free(&f);
}

/* ---- settings ---- */

static void schedules(void **state)
{
	struct fixture f;
	char longest[SCHEDULE_MAX + 2];

	(void)state;
	open_new(&f);
	memset(longest, 'x', sizeof(longest));
	longest[SCHEDULE_MAX] = '\0';
	assert_string_equal(directory_schedule(f.dir, "1001"), "");
	assert_int_equal(schedule(&f, "1001", "old"), ERR_OK);
	assert_int_equal(schedule(&f, "1001", WEEKLY), ERR_OK);
	assert_int_equal(schedule(&f, "1002", longest), ERR_OK);
	assert_int_equal(schedule(&f, "1003", WEEKLY), ERR_OK);
	fixture_settle(&f);
	assert_int_equal(schedule(&f, "1003", ""), ERR_OK);
	assert_int_equal(schedule(&f, "1004", ""), ERR_OK); /* nothing to clear is no fault */
	longest[SCHEDULE_MAX] = 'x';
	longest[SCHEDULE_MAX + 1] = '\0';
	assert_int_equal(schedule(&f, "1001", longest), ERR_INVAL);
	assert_int_equal(schedule(&f, "", WEEKLY), ERR_INVAL);
	longest[SCHEDULE_MAX] = '\0';
	for (int round = 0; round < 2; round++) {
		assert_string_equal(directory_schedule(f.dir, "1001"), WEEKLY);
		assert_string_equal(directory_schedule(f.dir, "1002"), longest);
		assert_string_equal(directory_schedule(f.dir, "1003"), "");
		fixture_reopen(&f, 1);
	}
	fixture_free(&f);
}

/* More than one batch may hold at a time. */
static void many_long_schedules(void **state)
{
	struct fixture f;
	char text[SCHEDULE_MAX + 1], user[16];

	(void)state;
	open_new(&f);
	memset(text, 'x', SCHEDULE_MAX);
	text[SCHEDULE_MAX] = '\0';
	for (int i = 0; i < 200; i++) {
		snprintf(user, sizeof(user), "%d", i);
		assert_int_equal(schedule(&f, user, text), ERR_OK);
	}
	fixture_settle(&f);
	assert_int_equal(f.good, 200);
	fixture_reopen(&f, 1);
	for (int i = 0; i < 200; i++) {
		snprintf(user, sizeof(user), "%d", i);
		assert_string_equal(directory_schedule(f.dir, user), text);
	}
	fixture_free(&f);
}

static void call_waiting(void **state)
{
	struct fixture f;

	(void)state;
	open_new(&f);
	assert_int_equal(directory_call_waiting(f.dir, "1001"), -1);
	assert_int_equal(waiting(&f, "1001", false), ERR_OK);
	assert_int_equal(waiting(&f, "1002", false), ERR_OK);
	assert_int_equal(waiting(&f, "1002", true), ERR_OK);
	assert_int_equal(waiting(&f, "", true), ERR_INVAL);
	dnd(&f, "1003", NULL, 0); /* settings, but not this one */
	for (int round = 0; round < 2; round++) {
		assert_int_equal(directory_call_waiting(f.dir, "1001"), 0);
		assert_int_equal(directory_call_waiting(f.dir, "1002"), 1);
		assert_int_equal(directory_call_waiting(f.dir, "1003"), -1);
		fixture_reopen(&f, 1);
	}
	fixture_free(&f);
}

static void add_up(void *arg, const char *conversation, int64_t until_ms)
{
	int64_t *sum = arg;

	*sum += until_ms + (conversation[0] == 'c');
}

static void mutes(void **state)
{
	static const struct {
		const char *conversation;
		int64_t now_ms;
		bool muted;
	} rows[] = {
		{"ca", 1, true},
		{"ca", INT64_MAX, true}, /* without end */
		{"cb", 4999, true},
		{"cb", 5000, false},
		{"cc", 6999, true}, /* the later end counts */
		{"cd", 1, false},   /* taken back */
		{"ce", 1, false},   /* never heard of */
		{"", 1, false},
		{"c", 1, false},
	};
	struct fixture f;
	int64_t sum;

	(void)state;
	open_new(&f);
	assert_int_equal(mute(&f, "1001", "ca", 0), ERR_OK);
	assert_int_equal(mute(&f, "1001", "cb", 5000), ERR_OK);
	assert_int_equal(mute(&f, "1001", "cc", 50), ERR_OK);
	assert_int_equal(mute(&f, "1001", "cc", 7000), ERR_OK);
	assert_int_equal(mute(&f, "1001", "cd", 0), ERR_OK);
	fixture_settle(&f);
	assert_int_equal(unmute(&f, "1001", "cd"), ERR_OK);
	assert_int_equal(unmute(&f, "1001", "cd"), ERR_OK);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			if (directory_is_muted(f.dir, "1001", rows[i].conversation,
				    rows[i].now_ms) != rows[i].muted)
				fail_msg("row %zu", i);
		assert_false(directory_is_muted(f.dir, "1002", "ca", 1));
		sum = 0;
		directory_mute_each(f.dir, "1001", add_up, &sum);
		assert_int_equal(sum, 5000 + 7000 + 3);
		fixture_reopen(&f, 1);
	}
	fixture_free(&f);
}

static void mutes_are_bounded(void **state)
{
	struct fixture f;
	char text[CONVERSATION_SIZE + 1];

	(void)state;
	open_new(&f);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "c%d", i);
		assert_int_equal(mute(&f, "1001", text, i == 0 ? 50 : 0), ERR_OK);
	}
	assert_int_equal(mute(&f, "1001", "more", 0), ERR_LIMIT);
	assert_int_equal(mute(&f, "1001", "c999", 9), ERR_OK); /* is there already */
	assert_int_equal(mute(&f, "1002", "more", 0), ERR_OK);
	directory_tick(f.dir, 60); /* two of them are over */
	assert_int_equal(mute(&f, "1001", "more", 0), ERR_OK);
	assert_int_equal(mute(&f, "1001", "still more", 0), ERR_OK);
	assert_int_equal(mute(&f, "1001", "too many", 0), ERR_LIMIT);
	assert_false(directory_is_muted(f.dir, "1001", "too many", 1));

	memset(text, 'x', sizeof(text));
	text[CONVERSATION_SIZE] = '\0';
	assert_int_equal(mute(&f, "1003", text, 0), ERR_INVAL);
	text[CONVERSATION_SIZE - 1] = '\0';
	assert_int_equal(mute(&f, "1003", text, 0), ERR_OK);
	assert_int_equal(mute(&f, "1003", "", 0), ERR_INVAL);
	assert_int_equal(mute(&f, "", "x", 0), ERR_INVAL);
	fixture_reopen(&f, 1);
	assert_true(directory_is_muted(f.dir, "1003", text, 1));
	fixture_free(&f);
}

/* ---- time ---- */

static void what_ends_by_itself(void **state)
{
	struct fixture f;

	(void)state;
	open_new(&f);
	put_everything(&f);
	dnd(&f, "1003", "desk", 5000);
	dnd(&f, "1001", "ipad", 5000);
	fixture_settle(&f);
	directory_tick(f.dir, 4999);
	check_export(
		&f, (const char *const[]){"* allow +4990112", "1001 block +4930*",
			    "1001 device ipad " B64 ": dnd 0",
			    "1001 device iphone " A64 ":" B64 " dnd 0", "1001 dnd 5000",
			    "1001 mute family 0", "1001 mute work 7000", "1001 schedule " WEEKLY,
			    "1001 waiting 1", "1003 device desk : dnd 0", "1004 waiting 0", NULL});
	directory_tick(f.dir, 7000);
	check_stored(
		&f, (const char *const[]){"* allow +4990112", "1001 block +4930*",
			    "1001 device ipad " B64 ": 0",
			    "1001 device iphone " A64 ":" B64 " dnd 0", "1001 mute family 0",
			    "1001 schedule " WEEKLY, "1001 waiting 1", "1004 waiting 0", NULL});
	fixture_free(&f);
}

/* ---- the ghost-call guard ---- */

/* w: woke, n: did not, r: REGISTER, t: a token by another way; the result: ghosts, woke_once */
static const struct {
	const char *name, *steps;
	int ghosts;
	bool woke_once;
} wakes[] = {
	{"never woke: not counted", "nnn", 0, false},
	{"woke", "w", 0, true},
	{"counted after it woke once", "wnn", 2, true},
	{"woke again", "wnnw", 0, true},
	{"from 0 again", "wnnwn", 1, true},
	{"a REGISTER counts from 0", "wnnr", 0, true},
	{"a REGISTER alone is no wake", "rnn", 0, false},
	{"a token by another way says nothing", "wnnt", 2, true},
};

static void ghosts(void **state)
{
	struct fixture f;
	struct device device;

	(void)state;
	open_new(&f);
	for (size_t i = 0; i < sizeof(wakes) / sizeof(wakes[0]); i++) {
		put(&f, wakes[i].name, "iphone", 'a', 0, false, 1);
		for (const char *step = wakes[i].steps; *step; step++) {
			if (*step == 'r' || *step == 't')
				put(&f, wakes[i].name, "iphone", 'a', 0, *step == 'r', 2);
			else
				directory_note_wake(f.dir, wakes[i].name, "iphone", *step == 'w');
		}
	}
	directory_note_wake(f.dir, "nobody", "iphone", true);
	directory_note_wake(f.dir, wakes[0].name, "ipad", true);
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(wakes) / sizeof(wakes[0]); i++) {
			assert_true(directory_find_device(f.dir, wakes[i].name, "iphone", &device));
			if (device.ghosts != wakes[i].ghosts ||
				device.woke_once != wakes[i].woke_once)
				fail_msg("%s: %d %d", wakes[i].name, device.ghosts,
					device.woke_once);
		}
		fixture_settle(&f);
		fixture_reopen(&f, 1);
	}
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_exported),
		cmocka_unit_test(export_while_it_changes),
		cmocka_unit_test(schedules),
		cmocka_unit_test(many_long_schedules),
		cmocka_unit_test(call_waiting),
		cmocka_unit_test(mutes),
		cmocka_unit_test(mutes_are_bounded),
		cmocka_unit_test(what_ends_by_itself),
		cmocka_unit_test(ghosts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
