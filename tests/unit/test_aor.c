/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/aor.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *name, *text, *default_domain, *aor; /* NULL: ERR_INVAL */
} rows[] = {
	{"bare", "1001", "", "1001"},
	{"bare in the default domain", "1001", "PBX.example.com", "1001@pbx.example.com"},
	{"its own domain wins", "1001@a.example", "b.example", "1001@a.example"},
	{"domain without case, user with", "Alice@Tenant.Example.COM", "",
		"Alice@tenant.example.com"},
	{"sip", "sip:1001@a.example", "", "1001@a.example"},
	{"sips, scheme without case", "SIPS:1001@a.example", "", "1001@a.example"},
	{"sip without domain", "sip:1001", "a.example", "1001@a.example"},
	{"parameters", "sip:1001@a.example;transport=tcp;lr", "", "1001@a.example"},
	{"headers", "sip:1001@a.example?Subject=x", "", "1001@a.example"},
	{"parameters of a bare name", "1001;transport=tcp", "", "1001"},
	{"port", "1001@a.example:5060;lr", "", "1001@a.example"},
	{"port of a bare URI", "sip:1001:5060", "", "1001"},
	{"password", "sip:alice:secret@a.example", "", "alice@a.example"},
	{"IPv4", "1001@192.0.2.1:5060", "", "1001@192.0.2.1"},
	{"IPv6", "sip:1001@[2001:DB8::1]:5060;lr", "", "1001@[2001:db8::1]"},
	{"IPv6 that does not close", "1001@[2001:db8", "", "1001@[2001:db8"},
	{"angle brackets", "<sip:1001@a.example>;expires=60", "", "1001@a.example"},
	{"name-addr", "Alice <sip:1001@a.example;lr>", "", "1001@a.example"},
	{"quoted name", "\"A \\\" <b@c>\" <sip:1001@a.example>", "", "1001@a.example"},
	{"bracket that does not close", "<sip:1001@a.example", "", "1001@a.example"},
	{"spaces around", "  1001@a.example\t", "", "1001@a.example"},
	{"tel", "tel:+49-30-(123).45;phone-context=x", "a.example", "+493012345@a.example"},
	{"separators in a SIP user stay", "j.doe-1@a.example", "", "j.doe-1@a.example"},
	{"parameters of the user stay", "sip:alice;day=tuesday@a.example", "",
		"alice;day=tuesday@a.example"},
	{"escaped dial signs", "sip:%2b4930%2A%23@a.example", "", "+4930*#@a.example"},
	{"other escapes stay", "sip:a%20b%2@a.example", "", "a%20b%2@a.example"},
	{"UTF-8", "J\xc3\xb6rg@a.example", "", "J\xc3\xb6rg@a.example"},
	{"everyone", "*", "", "*"},
	{"a tenant", "*@Tenant.example.com", "b.example", "*@tenant.example.com"},
	{"empty domain counts as none", "1001@;lr", "a.example", "1001@a.example"},

	{"empty", "", "a.example", NULL},
	{"spaces only", "  ", "", NULL},
	{"scheme only", "sip:", "", NULL},
	{"empty user", "sip:@a.example", "", NULL},
	{"parameters only", ";lr", "", NULL},
	{"empty brackets", "<>", "", NULL},
	{"tel of separators", "tel:--", "", NULL},
	{"escape in a tel number", "tel:%2-3", "", NULL},
	{"white space", "10 01@a.example", "", NULL},
	{"white space in the domain", "1001@a. example", "", NULL},
	{"line end", "1001\n", "", NULL},
	{"DEL", "10\x7f", "", NULL},
	{"second @", "1001@a@b", "", NULL},
	{"nested brackets", "<<1001>", "", NULL},
	{"quotes", "\"1001\"", "", NULL},
};

static void test_normalize(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char aor[AOR_SIZE] = "untouched", again[AOR_SIZE];
		enum err err = aor_normalize(rows[i].text, rows[i].default_domain, aor);
		if (err != (rows[i].aor ? ERR_OK : ERR_INVAL))
			fail_msg("%s: %s", rows[i].name, err_string(err));
		if (strcmp(aor, rows[i].aor ? rows[i].aor : "untouched"))
			fail_msg("%s: %s", rows[i].name, aor);
		if (err)
			continue;
		assert_int_equal(aor_normalize(aor, rows[i].default_domain, again), ERR_OK);
		assert_string_equal(again, aor);
	}
}

static void test_length(void **state)
{
	char text[AOR_SIZE + 1], aor[AOR_SIZE];

	(void)state;
	memset(text, 'x', sizeof(text));
	text[AOR_SIZE] = '\0';
	assert_int_equal(aor_normalize(text, "", aor), ERR_INVAL);
	text[AOR_SIZE - 1] = '\0';
	assert_int_equal(aor_normalize(text, "", aor), ERR_OK);
	assert_string_equal(aor, text);
	assert_int_equal(aor_normalize(text, "d", aor), ERR_INVAL);
	text[AOR_SIZE - 3] = '\0';
	assert_int_equal(aor_normalize(text, "d", aor), ERR_OK);
	assert_int_equal(strlen(aor), AOR_SIZE - 1);
}

static void test_domain(void **state)
{
	(void)state;
	assert_string_equal(aor_domain("1001@a.example"), "a.example");
	assert_string_equal(aor_domain("*@a.example"), "a.example");
	assert_string_equal(aor_domain("1001"), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_domain),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
