/* SPDX-License-Identifier: MIT */
#include "directory_fixture.h"

/* Bounds, figures, lookups, and what is refused. */

#define APP "com.example.phone"

static enum err put(struct fixture *f, const char *user, const char *device, const char *token,
	int64_t now_ms, struct registration_result *result)
{
	struct registration_result ignored;
	struct registration reg = {.user = user,
		.device = device,
		.app = token ? APP : NULL,
		.token = token,
		.presence = true,
		.expires_ms = now_ms + 1000,
		.now_ms = now_ms};

	return TAKE(
		f, directory_register(f->dir, &reg, result ? result : &ignored, fixture_done, f));
}

static bool knows(const struct fixture *f, const char *user, const char *device)
{
	struct device found;

	return directory_find_device(f->dir, user, device, &found);
}

/* Three devices a user: names, `+` with a token, in the order of their REGISTERs. */
static const struct {
	const char *name;
	const char *devices[6];
	const char *stay[4];
} evictions[] = {
	{"room for all", {"a+", "b", "c+"}, {"a+", "b", "c+"}},
	{"the longest unseen goes", {"a+", "b+", "c+", "d+"}, {"b+", "c+", "d+"}},
	{"seen again is not unseen", {"a+", "b+", "c+", "a+", "d+"}, {"a+", "c+", "d+"}},
	{"phones without tokens before all", {"a+", "b+", "c", "d+"}, {"a+", "b+", "d+"}},
	{"the longest unseen of these", {"a+", "b", "c", "d"}, {"a+", "c", "d"}},
	{"then those with", {"a", "b+", "c+", "d+", "e+"}, {"c+", "d+", "e+"}},
	{"no phone without token drives out one with", {"a+", "b+", "c+", "d"}, {"a+", "b+", "c+"}},
};

static void eviction(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(evictions) / sizeof(evictions[0]); i++) {
		struct fixture f;
		struct device devices[6];
		size_t want = 0;

		fixture_new(&f, 3, 0);
		fixture_open_at(&f, 1);
		for (int d = 0; evictions[i].devices[d]; d++) {
			char name[2] = {evictions[i].devices[d][0], '\0'};
			const char *token = evictions[i].devices[d][1] ? token_of(name[0]) : NULL;
			assert_int_equal(put(&f, "1001", name, token, 10 + d, NULL), ERR_OK);
		}
		for (; evictions[i].stay[want]; want++) {
			char name[2] = {evictions[i].stay[want][0], '\0'};
			if (!knows(&f, "1001", name))
				fail_msg("%s: lost %s", evictions[i].name, name);
		}
		assert_int_equal(directory_devices(f.dir, "1001", devices, 6), want);
		fixture_reopen(&f, 1);
		for (size_t s = 0; s < want; s++) {
			char name[2] = {evictions[i].stay[s][0], '\0'};
			assert_int_equal(knows(&f, "1001", name), evictions[i].stay[s][1] == '+');
		}
		fixture_free(&f);
	}
}

static void eviction_after_reload(void **state)
{
	struct fixture f;
	struct device devices[6];

	(void)state;
	fixture_new(&f, 4, 0);
	fixture_open_at(&f, 1);
	for (int i = 0; i < 4; i++)
		put(&f, "1001", (char[]){(char)('a' + i), '\0'}, token_of((char)('a' + i)), 10 + i,
			NULL);
	directory_set_limits(f.dir, 2, 0);
	assert_int_equal(put(&f, "1001", "d", token_of('d'), 20, NULL), ERR_OK);
	assert_int_equal(directory_devices(f.dir, "1001", devices, 6), 4);
	assert_int_equal(put(&f, "1001", "e", token_of('e'), 30, NULL), ERR_OK);
	assert_int_equal(directory_devices(f.dir, "1001", devices, 6), 2);
	assert_true(knows(&f, "1001", "d") && knows(&f, "1001", "e"));
	assert_int_equal(directory_devices(f.dir, "1001", devices, 1), 1);
	fixture_free(&f);
}

/* Tokens whose first digits are the same must not become one device. */
static void names_that_clash(void **state)
{
	struct fixture f;
	struct registration_result result;
	char token[65];

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	memset(token, '0', 64);
	token[64] = '\0';
	static const char *const names[] = {
		"token-00000000", "token-00000000-2", "token-00000000-3"};
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++) {
			token[63] = (char)('1' + i);
			assert_int_equal(put(&f, "1001", NULL, token, 1, &result), ERR_OK);
			assert_string_equal(result.device, names[i]);
		}
	}
	assert_int_equal(put(&f, "1002", NULL, token, 1, &result), ERR_OK);
	assert_string_equal(result.device, names[0]);
	fixture_free(&f);
}

static const struct {
	const char *name;
	int digits;
	char last;
	enum err err;
} tokens[] = {
	{"shortest", 32, 'f', ERR_OK},
	{"too short", 31, 'f', ERR_INVAL},
	{"usual", 64, '0', ERR_OK},
	{"odd", 65, '0', ERR_OK},
	{"odd with a digit", 65, '7', ERR_OK},
	{"longest", 512, 'a', ERR_OK},
	{"longest odd", 511, 'a', ERR_OK},
	{"too long", 513, 'a', ERR_INVAL},
	{"upper case", 64, 'A', ERR_INVAL},
	{"no digit", 64, 'g', ERR_INVAL},
	{"no digit, sign", 64, '/', ERR_INVAL},
};

static void token_forms(void **state)
{
	struct fixture f;
	struct device device;
	char token[600];

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		memset(token, '5', sizeof(token));
		token[tokens[i].digits - 1] = tokens[i].last;
		token[tokens[i].digits] = '\0';
		if (put(&f, "1001", tokens[i].name, token, 1, NULL) != tokens[i].err)
			fail_msg("%s", tokens[i].name);
	}
	fixture_reopen(&f, 1);
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
		memset(token, '5', sizeof(token));
		token[tokens[i].digits - 1] = tokens[i].last;
		token[tokens[i].digits] = '\0';
		bool found = directory_find_token(f.dir, "1001", token, &device);
		assert_int_equal(found, tokens[i].err == ERR_OK);
		if (found) {
			assert_string_equal(device.name, tokens[i].name);
			assert_string_equal(device.token, token);
		}
	}
	assert_false(directory_find_token(f.dir, "1002", token_of('5'), &device));
	fixture_free(&f);
}

static void refused(void **state)
{
	struct fixture f;
	struct registration_result result = {.device = "untouched"};
	char text[3000];
	size_t count = 99;
	bool known;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	const char *token = token_of('a');
	const struct registration bad[] = {
		{.user = ""},
		{.user = text},
		{.user = "1001", .device = text},
		{.user = "1001", .contact = text},
		{.user = "1001", .app = text, .token = token},
		{.user = "1001", .token = token},
		{.user = "1001", .app = "", .alert_token = token},
		{.user = "1001", .app = APP, .token = "abc"},
	};
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			TAKE(&f, directory_register(f.dir, &bad[i], &result, fixture_done, &f)),
			ERR_INVAL);
	assert_string_equal(result.device, "untouched");
	assert_int_equal(directory_forget_token(f.dir, "xyz", &count, NULL, NULL), ERR_INVAL);
	assert_int_equal(directory_mark_dead(f.dir, "xyz", TOKEN_DEAD, 1), 0);
	directory_learn_environment(f.dir, "xyz", ENVIRONMENT_SANDBOX);

	/* what is not there is no fault */
	assert_int_equal(
		TAKE(&f, directory_unregister(f.dir, "1001", NULL, NULL, &known, fixture_done, &f)),
		ERR_OK);
	assert_false(known);
	assert_int_equal(
		TAKE(&f, directory_forget(f.dir, "1001", NULL, &count, fixture_done, &f)), ERR_OK);
	assert_int_equal(count, 0);
	assert_int_equal(
		TAKE(&f, directory_forget_token(f.dir, token, &count, fixture_done, &f)), ERR_OK);
	assert_int_equal(count, 0);
	fixture_settle(&f);
	assert_int_equal(f.good, 3);
	fixture_free(&f);
}

static void check_stats(const struct fixture *f, int64_t now_ms, size_t users, size_t devices,
	size_t dead, size_t registered)
{
	struct directory_stats stats;

	directory_stats(f->dir, now_ms, &stats);
	assert_int_equal(stats.users, users);
	assert_int_equal(stats.devices, devices);
	assert_int_equal(stats.dead, dead);
	assert_int_equal(stats.registered, registered);
}

static void figures(void **state)
{
	struct fixture f;
	size_t count;
	bool known;

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	check_stats(&f, 1, 0, 0, 0, 0);
	put(&f, "1001", "iphone", token_of('a'), 100, NULL);
	put(&f, "1001", "desk", NULL, 100, NULL);
	put(&f, "1002", "iphone", token_of('a'), 200, NULL);
	check_stats(&f, 200, 2, 2, 0, 3);
	check_stats(&f, 1150, 2, 2, 0, 1); /* two have run out */
	assert_int_equal(directory_mark_dead(f.dir, token_of('a'), TOKEN_UNREGISTERED, 150), 0);
	assert_int_equal(directory_mark_dead(f.dir, token_of('a'), TOKEN_DEAD, 0), 2);
	assert_int_equal(directory_mark_dead(f.dir, token_of('a'), TOKEN_DEAD, 0), 0);
	check_stats(&f, 200, 2, 2, 2, 3);
	put(&f, "1002", "iphone", token_of('b'), 300, NULL);
	check_stats(&f, 300, 2, 2, 1, 3);
	fixture_reopen(&f, 300);
	check_stats(&f, 300, 2, 2, 1, 2);
	directory_unregister(f.dir, "1002", NULL, NULL, &known, NULL, NULL);
	assert_true(known);
	check_stats(&f, 300, 2, 2, 1, 1);
	directory_forget(f.dir, "1001", NULL, &count, NULL, NULL);
	assert_int_equal(count, 1);
	check_stats(&f, 300, 1, 1, 0, 0);
	fixture_free(&f);
}

/* Many changes of one device are few rows; each `done` runs all the same. */
static void changes_of_one_device_coalesce(void **state)
{
	struct fixture f;
	struct directory_stats stats;

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	for (int i = 0; i < 1000; i++) {
		put(&f, "1001", "iphone", token_of((char)('a' + i % 6)), 10 + i, NULL);
		directory_stats(f.dir, 1, &stats);
		assert_in_range(stats.unwritten, 1, 2); /* one flies, one waits */
	}
	fixture_settle(&f);
	assert_int_equal(f.good, 1000);
	fixture_reopen(&f, 1);
	struct device device;
	assert_true(directory_find_device(f.dir, "1001", "iphone", &device));
	assert_int_equal(device.seen_ms, 1009);
	assert_string_equal(device.token, token_of((char)('a' + 999 % 6)));
	fixture_free(&f);
}

/* A `done` may change the directory: the next one waits for the next batch, also while it
 * closes. */
static void register_again(void *arg, enum err err)
{
	struct fixture *f = arg;

	fixture_done(f, err);
	if (f->good >= 20)
		return;
	f->pending++;
	directory_list_add(f->dir, "1001", LIST_BLOCK, "123", register_again, f);
}

static void done_changes_more(void **state)
{
	struct fixture f;

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	directory_list_add(f.dir, "1001", LIST_BLOCK, "1", register_again, &f);
	f.pending++;
	while (f.good < 10) {
		struct pollfd poll_fd = {.fd = directory_fd(f.dir), .events = POLLIN};
		assert_int_equal(poll(&poll_fd, 1, 20000), 1);
		directory_collect(f.dir);
	}
	fixture_free(&f);
	assert_int_equal(f.good, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(eviction),
		cmocka_unit_test(eviction_after_reload),
		cmocka_unit_test(names_that_clash),
		cmocka_unit_test(token_forms),
		cmocka_unit_test(refused),
		cmocka_unit_test(figures),
		cmocka_unit_test(changes_of_one_device_coalesce),
		cmocka_unit_test(done_changes_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
