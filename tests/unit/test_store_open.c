/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <sqlite3.h>

#include <pbxpush/directory/schema.h>

#include "directory_fixture.h"

/* Which files are opened, which are refused in what words, and how old ones become new ones. */

static void sql_at(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void add_devices(struct fixture *f, int count)
{
	struct registration_result result;
	char name[32];

	for (int i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "phone-%d", i);
		struct registration reg = {.user = "1001",
			.device = name,
			.app = "com.example.phone",
			.token = token_of((char)('0' + i % 10)),
			.alert_token = token_of('f'),
			.now_ms = i};
		char token[65];
		snprintf(token, sizeof(token), "%s", reg.token);
		snprintf(token + 56, 9, "%08x", (unsigned)i);
		reg.token = token;
		reg.alert_token = NULL;
		assert_int_equal(directory_register(f->dir, &reg, &result, NULL, NULL), ERR_OK);
	}
}

/* ---- files that are refused ---- */

static void write_at(const char *path, long offset, size_t count)
{
	FILE *file = fopen(path, "r+");
	char rubbish[4096];

	if (!file)
		file = fopen(path, "w");
	assert_non_null(file);
	memset(rubbish, 'x', sizeof(rubbish));
	assert_int_equal(fseek(file, offset, SEEK_SET), 0);
	assert_int_equal(fwrite(rubbish, 1, count, file), count);
	assert_int_equal(fclose(file), 0);
}

static void make_good(struct fixture *f)
{
	fixture_open_at(f, 1);
	add_devices(f, 500);
	directory_close(f->dir);
	f->dir = NULL;
}

static void make_text(struct fixture *f)
{
	write_at(f->path, 0, 4096);
}

static void make_torn(struct fixture *f)
{
	make_good(f);
	write_at(f->path, 4096 * 6, 4096);
}

static void make_short(struct fixture *f)
{
	make_good(f);
	assert_int_equal(truncate(f->path, 4096 * 3), 0);
}

static void make_foreign(struct fixture *f)
{
	sql_at(f->path, "CREATE TABLE songs (title TEXT)");
}

static void make_foreign_id(struct fixture *f)
{
	sql_at(f->path, "PRAGMA application_id = 12345");
}

static void make_newer(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "PRAGMA user_version = 99");
}

static void make_bad_enum(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "UPDATE devices SET mode = 7 WHERE name = 'phone-3'");
}

static void make_bad_token(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "UPDATE devices SET token = 'hello' WHERE name = 'phone-3'");
}

static void make_bad_pattern(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "INSERT INTO patterns VALUES ('1001', 2, '123')");
}

static void make_bad_schedule(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "INSERT INTO schedules VALUES ('1001', '')");
}

static void make_bad_mute(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "INSERT INTO mutes VALUES ('1001', '', 0)");
}

/* Tables of today under the number of yesterday: somebody edited it. */
static void make_half_migrated(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "PRAGMA user_version = 1");
}

static void make_lost_table(struct fixture *f)
{
	make_good(f);
	sql_at(f->path, "DROP TABLE dnd");
}

static void make_folder(struct fixture *f)
{
	assert_int_equal(mkdir(f->path, 0700), 0);
}

static void make_no_folder(struct fixture *f)
{
	assert_int_equal(rmdir(f->folder), 0);
}

static void make_nothing(struct fixture *f)
{
	(void)f;
}

static void make_empty(struct fixture *f)
{
	assert_int_equal(close(open(f->path, O_CREAT | O_WRONLY, 0644)), 0);
}

static const struct {
	const char *name;
	void (*make)(struct fixture *f);
	const char *why; /* part of the sentence; NULL: it opens */
} files[] = {
	{"none yet", make_nothing, NULL},
	{"empty", make_empty, NULL},
	{"good", make_good, NULL},
	{"no database", make_text, "restore a backup, or move the file away"},
	{"a torn page", make_torn, "restore a backup, or move the file away"},
	{"cut short", make_short, "restore a backup, or move the file away"},
	{"another program's", make_foreign, "the database of another program"},
	{"another program's, empty", make_foreign_id, "the database of another program"},
	{"newer", make_newer, "schema 99, this one knows 2"},
	{"a schedule of nothing", make_bad_schedule, "a row that pbxpush did not write"},
	{"a mute of nothing", make_bad_mute, "a row that pbxpush did not write"},
	{"half migrated", make_half_migrated, "duplicate column name"},
	{"unknown mode", make_bad_enum, "a row that pbxpush did not write"},
	{"no token", make_bad_token, "a row that pbxpush did not write"},
	{"unknown list", make_bad_pattern, "a row that pbxpush did not write"},
	{"lost table", make_lost_table, "no such table: dnd"},
	{"a folder", make_folder, "not a file"},
	{"no folder", make_no_folder, "create its folder first"},
};

static void files_opened_and_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct fixture f;
		char why[512] = "";

		fixture_new(&f, 1000, 0);
		files[i].make(&f);
		enum err err = directory_open(&f.options, 1, &f.dir, why, sizeof(why));
		if (!err != !files[i].why)
			fail_msg("%s: %s", files[i].name, why);
		if (err && (!strstr(why, files[i].why) || !strstr(why, f.path)))
			fail_msg("%s: unclear: %s", files[i].name, why);
		if (err)
			assert_null(f.dir);
		mkdir(f.folder, 0700); /* for make_no_folder */
		rmdir(f.path);
		fixture_free(&f);
	}
}

/* A refused file is as it was: the newer version can go on with it. */
static void refusal_changes_nothing(void **state)
{
	struct fixture f;
	struct stat before, after;
	char why[512];

	(void)state;
	fixture_new(&f, 1000, 0);
	make_newer(&f);
	assert_int_equal(stat(f.path, &before), 0);
	assert_int_not_equal(directory_open(&f.options, 1, &f.dir, why, sizeof(why)), ERR_OK);
	assert_int_equal(stat(f.path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
	sql_at(f.path, "PRAGMA user_version = 2");
	fixture_open_at(&f, 1);
	struct directory_stats stats;
	directory_stats(f.dir, 1, &stats);
	assert_int_equal(stats.devices, 500);
	fixture_free(&f);
}

/* ---- alone, and private ---- */

static void second_opener(void **state)
{
	struct fixture f;
	struct directory *second = NULL;
	char why[512] = "";
	int status;

	(void)state;
	fixture_new(&f, 16, 0);
	fixture_open_at(&f, 1);
	assert_int_not_equal(directory_open(&f.options, 1, &second, why, sizeof(why)), ERR_OK);
	assert_null(second);
	assert_non_null(strstr(why, "a second pbxpushd"));

	/* Another process, also after our own failed attempt, which must not have dropped the
	 * lock. */
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		enum err err = directory_open(&f.options, 1, &second, why, sizeof(why));
		_exit(err != ERR_OK && !second && strstr(why, "a second pbxpushd") ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);

	/* The first is not impressed. */
	assert_int_equal(
		TAKE(&f, directory_set_dnd(f.dir, "1001", NULL, true, 0, fixture_done, &f)),
		ERR_OK);
	fixture_settle(&f);
	assert_int_equal(f.good, 1);
	fixture_reopen(&f, 1);
	fixture_free(&f);
}

static void check_private(const struct fixture *f, const char *suffix, bool must_exist)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s%s", f->path, suffix);
	if (stat(path, &st) == 0)
		assert_int_equal(st.st_mode & 0777, 0600);
	else
		assert_false(must_exist);
}

static void files_are_private(void **state)
{
	struct fixture f;
	mode_t mask = umask(0);

	(void)state;
	for (int round = 0; round < 2; round++) {
		fixture_new(&f, 16, 0);
		if (round == 1)
			make_empty(&f); /* 0644 */
		fixture_open_at(&f, 1);
		add_devices(&f, 10);
		fixture_settle(&f);
		check_private(&f, "", true);
		check_private(&f, "-wal", true);
		check_private(&f, "-shm", false);
		fixture_free(&f);
	}
	umask(mask);
}

/* ---- migrations ---- */

static int number_in(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	int number = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) == SQLITE_OK &&
		sqlite3_step(stmt) == SQLITE_ROW)
		number = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return number;
}

static void migrations(void **state)
{
	static const char *const steps[] = {
		"CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1), (2)",
		"ALTER TABLE t ADD COLUMN b INTEGER NOT NULL DEFAULT 7",
		"UPDATE t SET a = a * 10; INSERT INTO nowhere VALUES (1)",
		"UPDATE t SET a = a * 10",
	};
	const char *const mended[] = {steps[0], steps[1], steps[3]};
	sqlite3 *db;
	char why[256];

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(schema_check(db, 1, why, sizeof(why)), ERR_OK);
	assert_int_equal(schema_migrate(db, steps, 1, why, sizeof(why)), ERR_OK);
	assert_int_equal(number_in(db, "PRAGMA user_version"), 1);
	assert_int_equal(number_in(db, "PRAGMA application_id"), SCHEMA_APPLICATION_ID);

	/* A step that fails takes nothing with it, and the ones before it stay. */
	assert_int_equal(schema_migrate(db, steps, 3, why, sizeof(why)), ERR_IO);
	assert_string_equal(why, "cannot be brought to schema 3: no such table: nowhere");
	assert_int_equal(number_in(db, "PRAGMA user_version"), 2);
	assert_int_equal(number_in(db, "SELECT sum(a) FROM t"), 3);
	assert_int_equal(number_in(db, "SELECT sum(b) FROM t"), 14);

	/* Each runs once. */
	for (int round = 0; round < 2; round++) {
		assert_int_equal(schema_migrate(db, mended, 3, why, sizeof(why)), ERR_OK);
		assert_int_equal(number_in(db, "PRAGMA user_version"), 3);
		assert_int_equal(number_in(db, "SELECT sum(a) FROM t"), 30);
	}
	assert_int_equal(schema_check(db, 3, why, sizeof(why)), ERR_OK);
	assert_int_equal(schema_check(db, 2, why, sizeof(why)), ERR_INVAL);
	sqlite3_close(db);
}

/* A file as version 1 left it: what it says holds, and it takes what is new. */
static void from_version_1(void **state)
{
	struct fixture f;
	struct device device;
	struct directory_stats stats;
	int64_t until_ms;
	sqlite3 *db;
	char why[256];

	(void)state;
	fixture_new(&f, 16, 0);
	assert_int_equal(sqlite3_open(f.path, &db), SQLITE_OK);
	assert_int_equal(schema_migrate(db, schema_steps, 1, why, sizeof(why)), ERR_OK);
	assert_int_equal(number_in(db, "PRAGMA user_version"), 1);
	assert_int_equal(
		sqlite3_exec(db,
			"INSERT INTO devices VALUES ('1001', 'iphone', 'com.example.phone', "
			"'sip:1001@192.0.2.1', '0123456789abcdef0123456789abcdef', NULL, 2, 3, 0, "
			"0, 0, 0, 5000, 4000, 1, 6000);"
			"INSERT INTO dnd VALUES ('1002', 7000);"
			"INSERT INTO patterns VALUES ('1001', 0, '+49301*'), ('*', 1, '+4990112')",
			NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);

	fixture_open_at(&f, 1);
	assert_int_equal(
		TAKE(&f, directory_set_schedule(f.dir, "1001", "{}", fixture_done, &f)), ERR_OK);
	assert_int_equal(
		TAKE(&f, directory_mute_add(f.dir, "1001", "x", 0, fixture_done, &f)), ERR_OK);
	directory_note_wake(f.dir, "1001", "iphone", true);
	for (int round = 0; round < 2; round++) {
		assert_true(directory_find_device(f.dir, "1001", "iphone", &device));
		assert_string_equal(device.token, "0123456789abcdef0123456789abcdef");
		assert_int_equal(device.mode, MODE_ALERT);
		assert_int_equal(device.environment, ENVIRONMENT_SANDBOX);
		assert_int_equal(device.dnd_until_ms, 6000);
		assert_int_equal(device.ghosts, 0);
		assert_true(device.woke_once);
		assert_true(directory_dnd(f.dir, "1002", &until_ms));
		assert_int_equal(until_ms, 7000);
		assert_non_null(directory_list_match(f.dir, "1001", LIST_BLOCK, "+493011"));
		assert_string_equal(directory_schedule(f.dir, "1001"), "{}");
		assert_true(directory_is_muted(f.dir, "1001", "x", 1));
		directory_stats(f.dir, 1, &stats);
		assert_int_equal(stats.entries, 2);
		fixture_reopen(&f, 1);
	}
	fixture_free(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_opened_and_refused),
		cmocka_unit_test(refusal_changes_nothing),
		cmocka_unit_test(second_opener),
		cmocka_unit_test(files_are_private),
		cmocka_unit_test(migrations),
		cmocka_unit_test(from_version_1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
