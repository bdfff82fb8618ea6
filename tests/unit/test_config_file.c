/* SPDX-License-Identifier: MIT */
/* A whole configuration file: what it sets, and every fault that is told (CONTRACT 4). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <pbxpush/daemon/config_file.h>

/* The smallest app that is complete. Its key lies beside the file. */
#define APP                                                                                        \
	"[app com.example.phone]\nteam-id = DEF123GHIJ\nkey-id = ABC123DEFG\nkey-file = key.p8\n"

struct place {
	char folder[64], file[96], key[96], loose[96], rubbish[96];
	struct config *config;
};

static void write_text(const char *path, const char *text, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void write_key(const char *path, const char *curve, mode_t mode)
{
	EVP_PKEY *key = EVP_EC_gen(curve);
	FILE *file = fopen(path, "w");

	assert_non_null(key);
	assert_non_null(file);
	assert_true(PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
	fclose(file);
	EVP_PKEY_free(key);
	assert_int_equal(chmod(path, mode), 0);
}

static int make_place(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	assert_non_null(place);
	snprintf(place->folder, sizeof(place->folder), "/tmp/pbxpush-config-XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->file, sizeof(place->file), "%s/pbxpush.conf", place->folder);
	snprintf(place->key, sizeof(place->key), "%s/key.p8", place->folder);
	snprintf(place->loose, sizeof(place->loose), "%s/loose.p8", place->folder);
	snprintf(place->rubbish, sizeof(place->rubbish), "%s/rubbish.p8", place->folder);
	write_key(place->key, "P-256", 0600);
	write_key(place->loose, "P-256", 0644);
	write_text(place->rubbish, "no key\n", 7, 0600);
	unsetenv("CREDENTIALS_DIRECTORY");
	*state = place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *place = *state;

	config_free(place->config);
	unlink(place->file);
	unlink(place->key);
	unlink(place->loose);
	unlink(place->rubbish);
	rmdir(place->folder);
	free(place);
	unsetenv("CREDENTIALS_DIRECTORY");
	return 0;
}

static enum err load(struct place *place, const char *text, struct buf *faults)
{
	write_text(place->file, text, strlen(text), 0600);
	config_free(place->config);
	place->config = NULL;
	return config_load(place->file, &place->config, faults);
}

static const struct config *load_good(struct place *place, const char *text)
{
	struct buf faults = {0};

	if (load(place, text, &faults))
		fail_msg("%s\n%s", text, buf_str(&faults));
	assert_int_equal(faults.len, 0);
	buf_free(&faults);
	return place->config;
}

/* ---- good files ---- */

static void an_app_is_enough(void **state)
{
	struct place *place = *state;
	const struct config *config = load_good(place, APP);

	assert_int_equal(config->app_count, 1);
	assert_string_equal(config->apps[0].bundle_id, "com.example.phone");
	assert_string_equal(config->apps[0].team_id, "DEF123GHIJ");
	assert_string_equal(config->apps[0].key_file, place->key);
	assert_int_equal(config->ring_timeout_ms, 30000);
}

static void everything_that_may_stand_in_a_line(void **state)
{
	const struct config *config =
		load_good(*state, "; a comment\n"
				  "# another\n"
				  "\n"
				  "   \t\n"
				  "[calls]\r\n"
				  "ring-timeout = 45s\r\n"
				  "  remember=5m ; five minutes\n"
				  "\tmax-duration: 2h\n"
				  "unknown-caller = Who is it; \n"
				  "anonymous-caller =   No = number  \n" APP "mode = alert\n"
				  "[numbers]\n"
				  "country-code = 49");

	assert_int_equal(config->ring_timeout_ms, 45000);
	assert_int_equal(config->remember_ms, 300000);
	assert_int_equal(config->max_duration_ms, 7200000);
	assert_string_equal(config->unknown_caller, "Who is it;");
	assert_string_equal(config->anonymous_caller, "No = number");
	assert_int_equal(config->apps[0].mode, MODE_ALERT);
	assert_string_equal(config->country_code, "49");
}

static void a_section_may_be_taken_up_again(void **state)
{
	const struct config *config =
		load_good(*state, "[calls]\nring-timeout = 45s\n" APP "[calls]\nremember = 5m\n");

	assert_int_equal(config->ring_timeout_ms, 45000);
	assert_int_equal(config->remember_ms, 300000);
}

static void several_apps(void **state)
{
	const struct config *config = load_good(*state,
		APP "accounts = one\n"
		    "[app com.example.other]\nteam-id = XYZ123GHIJ\nkey-id = ABC123DEFH\n"
		    "key-file = key.p8\nenvironment = sandbox\n");

	assert_int_equal(config->app_count, 2);
	assert_int_equal(config->apps[0].accounts, 1);
	assert_int_equal(config->apps[1].accounts, 0);
	assert_int_equal(config->apps[1].environment, ENVIRONMENT_SANDBOX);
	assert_int_equal(config->apps[0].environment, ENVIRONMENT_AUTO);
}

/* libinih cuts section names at 49 characters. */
static void a_bundle_id_may_be_long(void **state)
{
#define LONG_ID "com.example.a-company-with-a-long-name.a-product-with-a-long-name.phone"
	const struct config *config =
		load_good(*state, "[app " LONG_ID "1]\nteam-id = DEF123GHIJ\nkey-id = ABC123DEFG\n"
				  "key-file = key.p8\n"
				  "[app " LONG_ID "2]\nteam-id = XYZ123GHIJ\nkey-id = ABC123DEFG\n"
				  "key-file = key.p8\n");

	assert_int_equal(config->app_count, 2);
	assert_string_equal(config->apps[0].bundle_id, LONG_ID "1");
	assert_string_equal(config->apps[0].team_id, "DEF123GHIJ");
	assert_string_equal(config->apps[1].bundle_id, LONG_ID "2");
	assert_string_equal(config->apps[1].team_id, "XYZ123GHIJ");
}

static void paths_are_relative_to_the_file(void **state)
{
	struct place *place = *state;
	const struct config *config;
	char path[128];

	config = load_good(place, APP "[directory]\npath = data/d.db\n"
				      "[events]\nsocket = /run/x.sock\n");
	snprintf(path, sizeof(path), "%s/data/d.db", place->folder);
	assert_string_equal(config->directory_path, path);
	assert_string_equal(config->events_socket, "/run/x.sock");
	assert_string_equal(config->apns_ca_file, "");
}

static void credentials_are_found(void **state)
{
	struct place *place = *state;
	const struct config *config;

	setenv("CREDENTIALS_DIRECTORY", place->folder, 1);
	config = load_good(place, "[app com.example.phone]\nteam-id = DEF123GHIJ\n"
				  "key-id = ABC123DEFG\n"
				  "key-file = ${CREDENTIALS_DIRECTORY}/key.p8\n");
	assert_string_equal(config->apps[0].key_file, place->key);
}

/* A group that reads is what LoadCredential= gives. */
static void a_key_that_a_group_reads(void **state)
{
	struct place *place = *state;

	assert_int_equal(chmod(place->key, 0440), 0);
	load_good(place, APP);
	assert_int_equal(chmod(place->key, 0400), 0);
	load_good(place, APP);
}

/* ---- faults ---- */

/* The faults of a text, each `LINE: what is said` (LINE 0: of the whole file), in their order.
 * FOLDER stands for the folder of the file. */
static const struct {
	const char *name, *text, *faults;
} rows[] = {
	{"unknown section", "[call]\nring-timeout = 5s\n" APP,
		"1: [call]: unknown section; there are [daemon] [events] [status] [directory] "
		"[calls] [alerts] [numbers] [apns] [kamailio] [asterisk] [opensips] [hook] "
		"[app BUNDLE-ID]\n"},
	{"[app] without a bundle id", "[app]\nteam-id = DEF123GHIJ\n" APP,
		"1: [app]: unknown section; there are [daemon] [events] [status] [directory] "
		"[calls] [alerts] [numbers] [apns] [kamailio] [asterisk] [opensips] [hook] "
		"[app BUNDLE-ID]\n"},
	{"unknown key", APP "[numbers]\ncountry = 49\n",
		"6: [numbers] country: unknown key; there are country-code international-prefix "
		"national-prefix extension-digits\n"},
	{"bad value", APP "[calls]\nring-timeout = soon\n",
		"6: [calls] ring-timeout = \"soon\": must be a duration (such as 500ms, 30s, 5m, "
		"2h or 1d) from 1s to 5m\n"},
	{"value that is missing", APP "[calls]\nring-timeout =\n",
		"6: [calls] ring-timeout = \"\": must be a duration (such as 500ms, 30s, 5m, 2h or "
		"1d) from 1s to 5m\n"},
	{"not built yet", APP "[opensips]\ndatagram = /run/o.sock\n",
		"6: [opensips] datagram = \"/run/o.sock\": is not built yet\n"},
	{"key set twice", APP "[calls]\nremember = 1m\nremember = 2m\n",
		"7: [calls] remember: set twice (first at line 6)\n"},
	{"key set twice, in two parts of a section",
		"[calls]\nremember = 1m\n" APP "[calls]\nremember = 2m\n",
		"8: [calls] remember: set twice (first at line 2)\n"},
	{"app twice", APP APP, "5: [app com.example.phone] stands twice (first at line 1)\n"},
	{"neither section nor option", APP "hello\n",
		"5: \"hello\": neither a [section] nor key = value\n"},
	{"section without its bracket", APP "[calls\nring-timeout = 5s\n",
		"5: [calls: a section ends with ']'\n"},
	{"option before any section", "ring-timeout = 5s\n" APP,
		"1: ring-timeout: stands before the first [section]\n"},
	{"bundle id that is none", "[app com/example]\nteam-id = DEF123GHIJ\n" APP,
		"1: [app com/example]: must name a bundle id of letters, digits, '-' and '.', such "
		"as [app com.example.phone]\n"},
	{"no app", "[calls]\nring-timeout = 5s\n",
		"0: there is no [app BUNDLE-ID]: nothing could be pushed to\n"},
	{"app without a team", "[app a.b]\nkey-id = ABC123DEFG\nkey-file = key.p8\n",
		"1: [app a.b] needs team-id: Apple's team id, 10 characters\n"},
	{"app without anything", "\n[app a.b]\n",
		"2: [app a.b] needs team-id: Apple's team id, 10 characters\n"
		"2: [app a.b] needs key-id: id of the APNs key, 10 characters\n"
		"2: [app a.b] needs key-file: the key, AuthKey_….p8 as Apple gives it, readable by "
		"its owner alone\n"},
	{"key file that is missing",
		"[app a.b]\nteam-id = DEF123GHIJ\nkey-id = ABC123DEFG\nkey-file = nokey.p8\n",
		"1: [app a.b] key-file = \"FOLDER/nokey.p8\": No such file or directory\n"},
	{"key file that others may read",
		"[app a.b]\nteam-id = DEF123GHIJ\nkey-id = ABC123DEFG\nkey-file = loose.p8\n",
		"1: [app a.b] key-file = \"FOLDER/loose.p8\": has mode 0644; nobody but its owner "
		"(and a group that reads) may open it: chmod 0600\n"},
	{"credentials that are not there",
		"[app a.b]\nteam-id = DEF123GHIJ\nkey-id = ABC123DEFG\n"
		"key-file = ${CREDENTIALS_DIRECTORY}/key.p8\n",
		"4: [app a.b] key-file = \"${CREDENTIALS_DIRECTORY}/key.p8\": "
		"${CREDENTIALS_DIRECTORY} is not set: the unit needs LoadCredential=\n"},
	{"more connections than there may be", APP "[apns]\nconnections = 9\nmax-connections = 8\n",
		"6: [apns] connections = 9: more than max-connections = 8\n"},
	{"proxy that is none, whose password is not told",
		APP "[apns]\nproxy = https://user:secret@proxy:1\n",
		"6: [apns] proxy: must be http://[user:password@]host:port\n"},
	{"ca-file that is missing", APP "[apns]\nca-file = no.pem\n",
		"6: [apns] ca-file = \"FOLDER/no.pem\": No such file or directory\n"},
	{"ca-file without certificates", APP "[apns]\nca-file = rubbish.p8\n",
		"6: [apns] ca-file = \"FOLDER/rubbish.p8\": holds no certificates in PEM\n"},
	{"one socket for two", APP "[events]\nsocket = /x\n[status]\nsocket = /x\n",
		"8: [events] and [status] name the same socket /x\n"},
	{"address that others can reach",
		APP "[events]\nhttp = 0.0.0.0:8599\n\n"
		    "[status]\nhttp = example.com:9599\n",
		"6: [events] http = \"0.0.0.0:8599\": must be a loopback address, such as "
		"127.0.0.1:8599, [::1]:8599 or localhost:8599: only programs of this machine may "
		"reach it\n"
		"9: [status] http = \"example.com:9599\": must be a loopback address, such as "
		"127.0.0.1:8599, [::1]:8599 or localhost:8599: only programs of this machine may "
		"reach it\n"
		"6: [events] http = \"0.0.0.0:8599\": needs http-token-file, too\n"},
	{"one address for two", APP "[events]\nhttp = [::1]:1\n[status]\nhttp = [::1]:1\n",
		"8: [events] and [status] name the same address [::1]:1\n"
		"6: [events] http = \"[::1]:1\": needs http-token-file, too\n"},
	{"… in two spellings",
		APP "[events]\nhttp = localhost:1\nhttp-token-file = tokens\n"
		    "[status]\nhttp = 127.0.0.1:01\n",
		"9: [events] and [status] name the same address 127.0.0.1:01\n"
		"7: [events] http-token-file = \"FOLDER/tokens\": No such file or directory\n"},
	{"token file that is missing",
		APP "[events]\nhttp = 127.0.0.1:1\nhttp-token-file = tokens\n",
		"7: [events] http-token-file = \"FOLDER/tokens\": No such file or directory\n"},
	{"token file that others can read",
		APP "[events]\nhttp = 127.0.0.1:1\nhttp-token-file = loose.p8\n",
		"7: [events] http-token-file = \"FOLDER/loose.p8\": has mode 0644; nobody but its "
		"owner (and a group that reads) may open it: chmod 0600\n"},
	{"token file with a bad line",
		APP "[events]\nhttp = 127.0.0.1:1\nhttp-token-file = rubbish.p8\n",
		"7: [events] http-token-file = \"FOLDER/rubbish.p8\": line 1: behind the token "
		"stands its role, calls or admin\n"},
	{"users and groups that are not there",
		APP "[events]\nallow-users = root, no-such-user\nadmin-users = 0 nobody-else\n"
		    "socket-group = no-such-group\n",
		"6: [events] allow-users = \"root, no-such-user\": there is no user "
		"no-such-user\n"
		"7: [events] admin-users = \"0 nobody-else\": there is no user nobody-else\n"
		"8: [events] socket-group = \"no-such-group\": there is no such group\n"},
	{"all of them, not only the first",
		"x = 1\n"
		"[nothing]\n"
		"y = 2\n"
		"[calls]\n"
		"ring-timeout = 1\n"
		"nothing = 3\n"
		"what\n"
		"call-waiting = maybe\n"
		"remember = 1m\n" APP "mode = both\n",
		"1: x: stands before the first [section]\n"
		"2: [nothing]: unknown section; there are [daemon] [events] [status] [directory] "
		"[calls] [alerts] [numbers] [apns] [kamailio] [asterisk] [opensips] [hook] "
		"[app BUNDLE-ID]\n"
		"5: [calls] ring-timeout = \"1\": must be a duration (such as 500ms, 30s, 5m, 2h "
		"or "
		"1d) from 1s to 5m\n"
		"6: [calls] nothing: unknown key; there are ring-timeout remember max-duration "
		"registered-delay call-waiting unknown-caller anonymous-caller repeat-caller "
		"ghost-limit\n"
		"7: \"what\": neither a [section] nor key = value\n"
		"8: [calls] call-waiting = \"maybe\": must be yes or no\n"
		"14: [app com.example.phone] mode = \"both\": must be one of voip alert\n"},
};

/* The faults as a row writes them: the path goes, FOLDER stands for the folder. */
static void shorten(const struct place *place, const char *faults, struct buf *out)
{
	size_t len = strlen(place->file), folder = strlen(place->folder);

	for (const char *p = faults; *p;) {
		if (!strncmp(p, place->file, len)) {
			p += len + 1;
			if (*p == ' ')
				buf_add_str(out, "0:");
		} else if (!strncmp(p, place->folder, folder)) {
			buf_add_str(out, "FOLDER");
			p += folder;
		} else {
			buf_add_char(out, *p++);
		}
	}
}

static void every_fault_is_told(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct place *place = *state;
		struct buf faults = {0}, text = {0};

		if (load(place, rows[i].text, &faults) != ERR_INVAL)
			fail_msg("%s: taken", rows[i].name);
		assert_null(place->config);
		shorten(place, buf_str(&faults), &text);
		if (strcmp(buf_str(&text), rows[i].faults) != 0)
			fail_msg("%s:\n%sinstead of\n%s", rows[i].name, buf_str(&text),
				rows[i].faults);
		buf_free(&faults);
		buf_free(&text);
	}
}

/* The text of the fault is the module's that reads keys; that there is one, with its place, is
 * ours. */
static void a_key_that_is_none(void **state)
{
	static const char text[] = "[app a.b]\nteam-id = DEF123GHIJ\nkey-id = ABC123DEFG\n"
				   "key-file = rubbish.p8\n";
	struct place *place = *state;
	struct buf faults = {0};

	assert_int_equal(load(place, text, &faults), ERR_INVAL);
	assert_non_null(strstr(buf_str(&faults), "pbxpush.conf:1: [app a.b] key-file = \""));
	buf_free(&faults);

	write_key(place->rubbish, "P-384", 0600);
	assert_int_equal(load(place, text, &faults), ERR_INVAL);
	buf_free(&faults);
}

static void a_line_that_is_too_long(void **state)
{
	struct place *place = *state;
	struct buf text = {0}, faults = {0};

	buf_add_str(&text, "[calls]\nunknown-caller = ");
	for (int i = 0; i < 5000; i++)
		buf_add_char(&text, 'x');
	buf_add_str(&text, "\nremember = never\n" APP);
	assert_int_equal(load(place, buf_str(&text), &faults), ERR_INVAL);
	assert_non_null(strstr(buf_str(&faults), ":2: the line is longer than "));
	assert_non_null(strstr(buf_str(&faults), ":3: [calls] remember = \"never\": "));
	buf_free(&faults);
	buf_free(&text);
}

static void a_file_that_is_not_there(void **state)
{
	struct place *place = *state;
	struct buf faults = {0};
	char wanted[128];

	assert_int_not_equal(config_load(place->file, &place->config, &faults), ERR_OK);
	snprintf(wanted, sizeof(wanted), "%s: No such file or directory\n", place->file);
	assert_string_equal(buf_str(&faults), wanted);
	buf_free(&faults);
	assert_int_not_equal(config_load(place->folder, &place->config, &faults), ERR_OK);
	assert_non_null(strstr(buf_str(&faults), "Is a directory"));
	buf_free(&faults);
}

/* ---- users and groups ---- */

static void users_by_name_and_id(void **state)
{
	uid_t *users = NULL;
	size_t count = 9;
	char who[32] = "";

	(void)state;
	assert_int_equal(config_users("", &users, &count, who, sizeof(who)), ERR_OK);
	assert_int_equal(count, 0);
	assert_null(users);
	assert_int_equal(
		config_users(" root,1234 ,\t65534 ", &users, &count, who, sizeof(who)), ERR_OK);
	assert_int_equal(count, 3);
	assert_int_equal(users[0], 0);
	assert_int_equal(users[1], 1234);
	assert_int_equal(users[2], 65534);
	free(users);
	users = NULL;
	assert_int_equal(
		config_users("root no-such-user", &users, &count, who, sizeof(who)), ERR_NOTFOUND);
	assert_string_equal(who, "no-such-user");
	assert_null(users);
	assert_int_equal(
		config_users("4294967295", &users, &count, who, sizeof(who)), ERR_NOTFOUND);
	assert_int_equal(config_users("-1", &users, &count, who, sizeof(who)), ERR_NOTFOUND);
}

static void groups_by_name_and_id(void **state)
{
	gid_t gid = 9;

	(void)state;
	assert_int_equal(config_group("", &gid), ERR_OK);
	assert_int_equal(gid, (gid_t)-1);
	assert_int_equal(config_group("root", &gid), ERR_OK);
	assert_int_equal(gid, 0);
	assert_int_equal(config_group("1234", &gid), ERR_OK);
	assert_int_equal(gid, 1234);
	assert_int_equal(config_group("no-such-group", &gid), ERR_NOTFOUND);
	assert_int_equal(config_group("4294967295", &gid), ERR_NOTFOUND);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_app_is_enough),
		TEST(everything_that_may_stand_in_a_line),
		TEST(a_section_may_be_taken_up_again),
		TEST(several_apps),
		TEST(a_bundle_id_may_be_long),
		TEST(paths_are_relative_to_the_file),
		TEST(credentials_are_found),
		TEST(a_key_that_a_group_reads),
		TEST(every_fault_is_told),
		TEST(a_key_that_is_none),
		TEST(a_line_that_is_too_long),
		TEST(a_file_that_is_not_there),
		cmocka_unit_test(users_by_name_and_id),
		cmocka_unit_test(groups_by_name_and_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
