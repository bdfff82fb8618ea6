/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/contact.h>

#define A32  "00112233445566778899aabbccddeeff"
#define A64  A32 A32
#define B64  "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
#define A512 A64 A64 A64 A64 A64 A64 A64 A64

#define L10 "abcdefghij"
#define L50 L10 L10 L10 L10 L10

static void what_a_phone_may_say(void **state)
{
	static const struct {
		const char *name, *provider, *param, *prid;
		struct push_params expected;
	} rows[] = {
		{"RFC 8599", "apns", "DEF123GHIJ.com.example.phone.voip", A64,
			{"DEF123GHIJ", "com.example.phone", A64, "", false}},
		{"remote", "apns", "DEF123GHIJ.com.example.phone.remote", A64,
			{"DEF123GHIJ", "com.example.phone", "", A64, false}},
		{"no service: the ordinary token", "apns", "DEF123GHIJ.com.example.phone", A64,
			{"DEF123GHIJ", "com.example.phone", "", A64, false}},
		{"a bundle of one part", "apns", "DEF123GHIJ.phone.voip", A64,
			{"DEF123GHIJ", "phone", A64, "", false}},
		{"a bundle of one part, no service", "apns", "DEF123GHIJ.phone", A64,
			{"DEF123GHIJ", "phone", "", A64, false}},
		{"voip within the bundle", "apns", "DEF123GHIJ.com.voip.my-app_2.voip", A64,
			{"DEF123GHIJ", "com.voip.my-app_2", A64, "", false}},
		{"VoIP in capitals is a bundle's", "apns", "DEF123GHIJ.com.example.VoIP", A64,
			{"DEF123GHIJ", "com.example.VoIP", "", A64, false}},
		{"sandbox", "apns.dev", "DEF123GHIJ.com.example.phone.voip", A64,
			{"DEF123GHIJ", "com.example.phone", A64, "", true}},
		{"provider in capitals", "APNS", "DEF123GHIJ.com.example.phone.voip", A64,
			{"DEF123GHIJ", "com.example.phone", A64, "", false}},
		{"Linphone", "apns", "DEF123GHIJ.org.linphone.phone.remote&voip",
			A64 ":remote&" B64 ":voip",
			{"DEF123GHIJ", "org.linphone.phone", B64, A64, false}},
		{"Linphone, the other order", "apns.dev",
			"DEF123GHIJ.org.linphone.phone.voip&remote", B64 ":voip&" A64 ":remote",
			{"DEF123GHIJ", "org.linphone.phone", B64, A64, true}},
		{"Linphone, percent-encoded", "apns", "DEF123GHIJ.org.linphone.phone.remote%26voip",
			A64 "%3Aremote%26" B64 "%3avoip",
			{"DEF123GHIJ", "org.linphone.phone", B64, A64, false}},
		{"Linphone, one token of two", "apns", "DEF123GHIJ.org.linphone.phone.remote&voip",
			A64 ":remote", {"DEF123GHIJ", "org.linphone.phone", "", A64, false}},
		{"the token's own service counts", "apns", "DEF123GHIJ.com.example.phone.remote",
			A64 ":voip", {"DEF123GHIJ", "com.example.phone", A64, "", false}},
		{"no service, two tokens", "apns", "DEF123GHIJ.com.example.phone",
			A64 ":remote&" B64 ":voip",
			{"DEF123GHIJ", "com.example.phone", B64, A64, false}},
		{"upper-case hex", "apns", "DEF123GHIJ.com.example.phone.voip",
			"00112233445566778899AABBCCDDEEFF",
			{"DEF123GHIJ", "com.example.phone", A32, "", false}},
		{"two of the longest tokens", "apns", "DEF123GHIJ.com.example.phone.remote&voip",
			A512 ":remote&" A512 ":voip",
			{"DEF123GHIJ", "com.example.phone", A512, A512, false}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct push_params out;
		const char *field = "unset";
		enum err err = push_params_parse(
			rows[i].provider, rows[i].param, rows[i].prid, &out, &field);

		if (err || field)
			fail_msg("%s: %d in %s", rows[i].name, (int)err, field);
		if (strcmp(out.team, rows[i].expected.team) != 0 ||
			strcmp(out.app, rows[i].expected.app) != 0 ||
			strcmp(out.token, rows[i].expected.token) != 0 ||
			strcmp(out.alert_token, rows[i].expected.alert_token) != 0 ||
			out.sandbox != rows[i].expected.sandbox)
			fail_msg("%s: %s %s %s %s %d", rows[i].name, out.team, out.app, out.token,
				out.alert_token, out.sandbox);
	}
}

static void what_is_refused_names_the_field(void **state)
{
	static const char good[] = "DEF123GHIJ.com.example.phone.voip";
	static const struct {
		const char *name, *provider, *param, *prid;
		enum err err;
		const char *field;
	} rows[] = {
		{"no provider", NULL, good, A64, ERR_NOTFOUND, "provider"},
		{"empty provider", "", good, A64, ERR_NOTFOUND, "provider"},
		{"Firebase", "fcm", "project-1", "c9x:APA91b", ERR_NOTFOUND, "provider"},
		{"Web Push", "webpush", NULL, "https://push.example", ERR_NOTFOUND, "provider"},
		{"almost APNs", "apns.prod", good, A64, ERR_NOTFOUND, "provider"},
		{"no param", "apns", NULL, A64, ERR_INVAL, "param"},
		{"empty param", "apns", "", A64, ERR_INVAL, "param"},
		{"team alone", "apns", "DEF123GHIJ", A64, ERR_INVAL, "param"},
		{"no bundle", "apns", "DEF123GHIJ.", A64, ERR_INVAL, "param"},
		{"service but no bundle", "apns", "DEF123GHIJ.voip", A64, ERR_INVAL, "param"},
		{"empty bundle", "apns", "DEF123GHIJ..voip", A64, ERR_INVAL, "param"},
		{"no team", "apns", ".com.example.voip", A64, ERR_INVAL, "param"},
		{"two dots", "apns", "DEF123GHIJ.com..phone.voip", A64, ERR_INVAL, "param"},
		{"a dot at the end", "apns", "DEF123GHIJ.com.phone.", A64, ERR_INVAL, "param"},
		{"team with a hyphen", "apns", "DEF-123.com.phone.voip", A64, ERR_INVAL, "param"},
		{"team too long", "apns", "DEF123GHIJKLMNOP.com.phone", A64, ERR_INVAL, "param"},
		{"a header smuggled in", "apns", "DEF123GHIJ.com%0d%0ax.voip", A64, ERR_INVAL,
			"param"},
		{"a space in the bundle", "apns", "DEF123GHIJ.com%20x.voip", A64, ERR_INVAL,
			"param"},
		{"unknown pair of services", "apns", "DEF123GHIJ.com.x.remote&mdm", A64, ERR_INVAL,
			"param"},
		{"bundle too long", "apns", "DEF123GHIJ." L50 L50 L10 L10 "abcdefgh.voip", A64,
			ERR_INVAL, "param"},
		{"broken escape", "apns", "DEF123GHIJ.com.x.voip%2", A64, ERR_INVAL, "param"},
		{"no prid", "apns", good, NULL, ERR_INVAL, "prid"},
		{"empty prid", "apns", good, "", ERR_INVAL, "prid"},
		{"31 digits", "apns", good, "0123456789abcdef0123456789abcde", ERR_INVAL, "prid"},
		{"513 digits", "apns", good, A512 "0", ERR_INVAL, "prid"},
		{"no hex", "apns", good, "0123456789abcdef0123456789abcdeg", ERR_INVAL, "prid"},
		{"unknown service", "apns", good, A64 ":mdm", ERR_INVAL, "prid"},
		{"empty service", "apns", good, A64 ":", ERR_INVAL, "prid"},
		{"token missing", "apns", good, ":voip", ERR_INVAL, "prid"},
		{"an empty one behind", "apns", good, A64 ":voip&", ERR_INVAL, "prid"},
		{"an empty one before", "apns", good, "&" A64 ":voip", ERR_INVAL, "prid"},
		{"the same service twice", "apns", good, A64 ":voip&" B64 ":voip", ERR_INVAL,
			"prid"},
		{"two tokens, no services", "apns", good, A64 "&" B64, ERR_INVAL, "prid"},
		{"which of the two is it", "apns", "DEF123GHIJ.com.example.phone.remote&voip", A64,
			ERR_INVAL, "prid"},
		{"hidden NUL", "apns", good, A64 "%00", ERR_INVAL, "prid"},
		{"endless", "apns", good, A512 A512 A512, ERR_INVAL, "prid"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct push_params out = {.team = "untouched"};
		const char *field = "unset";
		enum err err = push_params_parse(
			rows[i].provider, rows[i].param, rows[i].prid, &out, &field);

		if (err != rows[i].err || !field || strcmp(field, rows[i].field) != 0)
			fail_msg("%s: %d in %s", rows[i].name, (int)err, field ? field : "-");
		assert_string_equal(out.team, "untouched");
	}
}

static void a_token_has_32_to_512_hex_digits(void **state)
{
	static const struct {
		const char *name, *text, *expected;
	} rows[] = {
		{"64 digits", A64, A64},
		{"capitals", "00112233445566778899AABBCCDDEEFF", A32},
		{"512 digits", A512, A512},
		{"33 digits", A32 "0", A32 "0"},
		{"none", "", NULL},
		{"31 digits", "0112233445566778899aabbccddeeff", NULL},
		{"513 digits", A512 "0", NULL},
		{"a space", " " A32, NULL},
		{"0x", "0x" A32, NULL},
		{"beyond ASCII", "\xc3\xa4" A32, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char out[PUSH_TOKEN_SIZE] = "untouched";
		enum err err = push_token_normalize(rows[i].text, out);

		if (err != (rows[i].expected ? ERR_OK : ERR_INVAL))
			fail_msg("%s: %d", rows[i].name, (int)err);
		assert_string_equal(out, rows[i].expected ? rows[i].expected : "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_phone_may_say),
		cmocka_unit_test(what_is_refused_names_the_field),
		cmocka_unit_test(a_token_has_32_to_512_hex_digits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
