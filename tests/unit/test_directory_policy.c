/* SPDX-License-Identifier: MIT */
#include <pbxpush/base/buf.h>

#include "directory_fixture.h"

/* Lists of numbers, and do-not-disturb. */

struct entry {
	const char *user;
	enum directory_list list;
	const char *pattern;
};

static const struct entry entries[] = {
	{"1001", LIST_BLOCK, "+4930123456"},
	{"1001", LIST_BLOCK, "+49301*"},
	{"1001", LIST_BLOCK, "+4930*"},
	{"1001", LIST_ALLOW, "+49301234*"},
	{"1001@example.com", LIST_BLOCK, "200"},
	{"1001@example.com", LIST_BLOCK, "anonymous"},
	{"*@example.com", LIST_BLOCK, "200"},
	{"*@example.com", LIST_BLOCK, "2*"},
	{"*@example.org", LIST_BLOCK, "anonymous"},
	{"*", LIST_BLOCK, "+4990*"},
	{"*", LIST_BLOCK, "200"},
	{"*", LIST_BLOCK, "anon*"},
	{"*", LIST_ALLOW, "+4990112"},
	{"1009", LIST_BLOCK, "*"},
};

static const struct {
	const char *name, *user;
	enum directory_list list;
	const char *number, *match, *owner;
} matches[] = {
	{"exact before prefix", "1001", LIST_BLOCK, "+4930123456", "+4930123456", "1001"},
	{"longest prefix", "1001", LIST_BLOCK, "+49301999", "+49301*", "1001"},
	{"shorter prefix", "1001", LIST_BLOCK, "+49302999", "+4930*", "1001"},
	{"the prefix itself", "1001", LIST_BLOCK, "+4930", "+4930*", "1001"},
	{"shorter than the prefix", "1001", LIST_BLOCK, "+493", NULL, NULL},
	{"each list for itself", "1001", LIST_ALLOW, "+4930123456", "+49301234*", "1001"},
	{"of everyone", "1001", LIST_BLOCK, "+4990112", "+4990*", "*"},
	{"of everyone, allowed", "1001", LIST_ALLOW, "+4990112", "+4990112", "*"},
	{"a user we never heard of", "4711", LIST_BLOCK, "200", "200", "*"},
	{"own before the tenant's", "1001@example.com", LIST_BLOCK, "200", "200",
		"1001@example.com"},
	{"the tenant's exact one", "1002@example.com", LIST_BLOCK, "200", "200", "*@example.com"},
	{"the tenant's prefix", "1002@example.com", LIST_BLOCK, "201", "2*", "*@example.com"},
	{"another tenant's is not ours", "1002@example.net", LIST_BLOCK, "201", NULL, NULL},
	{"1001 is not 1001@example.com", "1001@example.com", LIST_BLOCK, "+4930123456", NULL, NULL},
	{"anonymous", "1001@example.com", LIST_BLOCK, "anonymous", "anonymous", "1001@example.com"},
	{"anonymous, by the tenant", "1@example.org", LIST_BLOCK, "anonymous", "anonymous",
		"*@example.org"},
	{"anonymous begins with nothing", "1001", LIST_BLOCK, "anonymous", NULL, NULL},
	{"every number", "1009", LIST_BLOCK, "+1", "*", "1009"},
	{"every number is not anonymous", "1009", LIST_BLOCK, "anonymous", NULL, NULL},
	{"no number", "1001", LIST_BLOCK, "", NULL, NULL},
};

static void find_text(void *arg, const char *pattern)
{
	const char **wanted = arg;

	if (*wanted == pattern)
		*wanted = NULL;
}

/* True when the text that was found belongs to this owner's list, not to another's of the same
 * wording. */
static bool owned_by(
	const struct directory *dir, const char *owner, enum directory_list list, const char *text)
{
	directory_list_each(dir, owner, list, find_text, &text);
	return !text;
}

static void check_matches(const struct directory *dir)
{
	for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
		const char *got = directory_list_match(
			dir, matches[i].user, matches[i].list, matches[i].number);
		if (!got != !matches[i].match || (got && strcmp(got, matches[i].match) != 0))
			fail_msg("%s: got %s", matches[i].name, got ? got : "nothing");
		if (got && !owned_by(dir, matches[i].owner, matches[i].list, got))
			fail_msg("%s: of another list", matches[i].name);
	}
}

static void add_all(struct fixture *f)
{
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		assert_int_equal(
			TAKE(f, directory_list_add(f->dir, entries[i].user, entries[i].list,
					entries[i].pattern, fixture_done, f)),
			ERR_OK);
}

static void lists_match(void **state)
{
	struct fixture f;

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	add_all(&f);
	check_matches(f.dir);
	add_all(&f); /* twice is no fault */
	check_matches(f.dir);
	fixture_reopen(&f, 1);
	check_matches(f.dir);
	fixture_free(&f);
}

static void lists_change(void **state)
{
	struct fixture f;
	struct directory_stats stats;

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	add_all(&f);
	for (int round = 0; round < 2; round++) /* what is not there is no fault */
		assert_int_equal(TAKE(&f, directory_list_remove(f.dir, "1001", LIST_BLOCK,
						  "+4930123456", fixture_done, &f)),
			ERR_OK);
	assert_string_equal(
		directory_list_match(f.dir, "1001", LIST_BLOCK, "+4930123456"), "+49301*");
	directory_stats(f.dir, 1, &stats);
	assert_int_equal(stats.entries, sizeof(entries) / sizeof(entries[0]) - 1);
	assert_int_equal(stats.users, 0);

	size_t count;
	assert_int_equal(
		TAKE(&f, directory_forget(f.dir, "*", NULL, &count, fixture_done, &f)), ERR_OK);
	assert_null(directory_list_match(f.dir, "4711", LIST_BLOCK, "200"));
	fixture_reopen(&f, 1);
	assert_null(directory_list_match(f.dir, "4711", LIST_BLOCK, "200"));
	assert_string_equal(
		directory_list_match(f.dir, "1001", LIST_BLOCK, "+4930123456"), "+49301*");

	assert_int_equal(directory_list_add(f.dir, "1001", LIST_BLOCK, "", NULL, NULL), ERR_INVAL);
	assert_int_equal(directory_list_add(f.dir, "", LIST_BLOCK, "1", NULL, NULL), ERR_INVAL);
	char longest[200];
	memset(longest, '1', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(
		directory_list_add(f.dir, "1001", LIST_BLOCK, longest, NULL, NULL), ERR_INVAL);
	assert_null(directory_list_match(f.dir, "1009", LIST_BLOCK, longest));
	fixture_free(&f);
}

/* ---- do-not-disturb ---- */

static void check_dnd(const struct fixture *f, const char *user, bool on, int64_t until_ms)
{
	int64_t got_ms = -1;

	assert_int_equal(directory_dnd(f->dir, user, &got_ms), on);
	assert_int_equal(got_ms, until_ms);
}

static void set_dnd(struct fixture *f, const char *user, const char *device, bool on,
	int64_t until_ms, enum err expected)
{
	assert_int_equal(
		TAKE(f, directory_set_dnd(f->dir, user, device, on, until_ms, fixture_done, f)),
		expected);
}

static void dnd_of_users(void **state)
{
	struct fixture f;
	size_t count;

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	check_dnd(&f, "1001", false, 0);
	set_dnd(&f, "1001", NULL, true, 0, ERR_OK);
	set_dnd(&f, "1002", NULL, true, 5000, ERR_OK);
	set_dnd(&f, "1003", NULL, true, 5000, ERR_OK);
	set_dnd(&f, "1003", NULL, false, 5000, ERR_OK);
	set_dnd(&f, "1004", NULL, true, 0, ERR_OK);
	assert_int_equal(
		TAKE(&f, directory_forget(f.dir, "1004", NULL, &count, fixture_done, &f)), ERR_OK);
	for (int round = 0; round < 2; round++) {
		check_dnd(&f, "1001", true, 0);
		check_dnd(&f, "1002", true, 5000);
		check_dnd(&f, "1003", false, 0);
		check_dnd(&f, "1004", false, 0);
		fixture_reopen(&f, 1);
	}
	set_dnd(&f, "", NULL, true, 0, ERR_INVAL);
	fixture_free(&f);
}

static void dnd_of_devices(void **state)
{
	struct fixture f;
	struct device device;
	struct registration_result result;
	struct registration reg = {.user = "1001",
		.device = "iphone",
		.app = "com.example.phone",
		.token = token_of('a'),
		.now_ms = 1};

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	set_dnd(&f, "1001", "iphone", true, 0, ERR_NOTFOUND);
	assert_int_equal(directory_register(f.dir, &reg, &result, NULL, NULL), ERR_OK);
	set_dnd(&f, "1001", "ipad", true, 0, ERR_NOTFOUND);
	set_dnd(&f, "1001", "", true, 0, ERR_NOTFOUND);
	set_dnd(&f, "1001", "iphone", true, 7000, ERR_OK);
	check_dnd(&f, "1001", false, 0); /* the user's is another */
	for (int round = 0; round < 2; round++) {
		assert_true(directory_find_device(f.dir, "1001", "iphone", &device));
		assert_true(device.dnd);
		assert_int_equal(device.dnd_until_ms, 7000);
		fixture_reopen(&f, 1);
	}
	set_dnd(&f, "1001", "iphone", false, 0, ERR_OK);
	fixture_reopen(&f, 1);
	assert_true(directory_find_device(f.dir, "1001", "iphone", &device));
	assert_false(device.dnd);
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_match),
		cmocka_unit_test(lists_change),
		cmocka_unit_test(dnd_of_users),
		cmocka_unit_test(dnd_of_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
