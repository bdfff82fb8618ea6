/* SPDX-License-Identifier: MIT */
/* [hook] url and token-file: what is taken, and that a secret is never quoted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/hook/settings.h>

static void urls(void **state)
{
	/* why: a part of it; NULL: the URL is good */
	static const struct {
		const char *url, *why;
	} rows[] = {
		{"", NULL},
		{"https://pbx.example.com/hook", NULL},
		{"HTTPS://pbx.example.com", NULL},
		{"https://pbx.example.com:8443/hook?site=1", NULL},
		{"https://192.0.2.1/", NULL},
		{"https://[2001:db8::1]:8443/", NULL},
		{"http://127.0.0.1:8080/hook", NULL},
		{"http://127.8.8.8/", NULL},
		{"http://[::1]/hook", NULL},
		{"http://localhost:8080/", NULL},
		{"http://LOCALHOST/", NULL},
		{"http://2130706433/", NULL}, /* 127.0.0.1, and used as such */
		{"http://pbx.example.com/hook", "https://"},
		{"http://192.0.2.1/", "loopback"},
		{"http://128.0.0.1/", "loopback"},
		{"http://0.0.0.0/", "loopback"},
		{"http://127.0.0.1.example.com/", "loopback"},
		{"http://127.example.com/", "loopback"},
		{"http://localhost.example.com/", "loopback"},
		{"http://[::]/", "loopback"},
		{"http://[::ffff:192.0.2.1]/", "loopback"},
		{"http://127.0.0.1@192.0.2.1/", "token-file"},
		{"https://user:secret@pbx.example.com/", "token-file"},
		{"https://user@pbx.example.com/", "token-file"},
		{"ftp://pbx.example.com/", "https://"},
		{"file:///etc/passwd", "https://"},
		{"unix:/run/hook.sock", "must be"},
		{"pbx.example.com/hook", "URL"},
		{"//pbx.example.com/hook", "URL"},
		{"/hook", "URL"},
		{"https://", "URL"},
		{"https://pbx.example.com:99999/", "URL"},
		{"https://pbx example.com/", "URL"},
		{"https://pbx.example.com/a b", "URL"},
		{"https://pbx.example.com/\r\nX: y", "URL"},
		{"nonsense", "URL"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[256] = "";
		enum err err = hook_check_url(rows[i].url, why, sizeof(why));

		if (!rows[i].why ? err != ERR_OK : err != ERR_INVAL || !strstr(why, rows[i].why))
			fail_msg("'%s': %d %s", rows[i].url, (int)err, why);
		assert_null(strstr(why, "secret"));
	}
}

static void tokens(void **state)
{
	/* token NULL: refused */
	static const struct {
		const char *text, *token;
	} rows[] = {
		{"s3cr3t", "s3cr3t"},
		{"s3cr3t\n", "s3cr3t"},
		{"s3cr3t\r\n", "s3cr3t"},
		{"a.b-c_d~e+f/g==\n\n", "a.b-c_d~e+f/g=="},
		{"", NULL},
		{"\n", NULL},
		{"\ns3cr3t\n", NULL},
		{"s3cr3t\ns3cr3t2\n", NULL},
		{"s3cr3t\r\nX: y", NULL},
		{"s3cr3t other\n", NULL},
		{" s3cr3t\n", NULL},
		{"s3cr3t\t\n", NULL},
		{"s3cr3t\x01", NULL},
		{"s3cr3t\xc3\xa9", NULL},
	};
	char text[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum err err;

		strcpy(text, rows[i].text);
		err = hook_cut_token(text, strlen(text));
		if (err != (rows[i].token ? ERR_OK : ERR_INVAL))
			fail_msg("row %zu: %d", i, (int)err);
		if (!err)
			assert_string_equal(text, rows[i].token);
	}
	memcpy(text, "ab\0cd\n", 7);
	assert_int_equal(hook_cut_token(text, 6), ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),
		cmocka_unit_test(tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
