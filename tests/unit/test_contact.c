/* SPDX-License-Identifier: MIT */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/contact.h>

#define PN         "pn-provider=apns;pn-param=T.com.x.voip;pn-prid=00aa"
#define ABSENT     "(absent)"
#define NO_EXPIRES (-1)

/* provider and prid: ABSENT where the parameter did not stand there. */
static const struct {
	const char *name, *value;
	const char *uri, *instance;
	int expires_s;
	const char *provider, *param, *prid;
} good[] = {
	{"URI in brackets", "<sip:1001@10.0.0.1:5060>", "sip:1001@10.0.0.1:5060", "", NO_EXPIRES,
		ABSENT, "", ABSENT},
	{"bare URI", "sip:1001@10.0.0.1:5060", "sip:1001@10.0.0.1:5060", "", NO_EXPIRES, ABSENT, "",
		ABSENT},
	{"scheme and host only", "sips:phone.example.com", "sips:phone.example.com", "", NO_EXPIRES,
		ABSENT, "", ABSENT},
	{"IPv6", "<sip:1001@[2001:db8::1]:5060;transport=tls>",
		"sip:1001@[2001:db8::1]:5060;transport=tls", "", NO_EXPIRES, ABSENT, "", ABSENT},
	{"RFC 8599 example", "<sip:alice@example.com;" PN ">;expires=3600",
		"sip:alice@example.com;" PN, "", 3600, "apns", "T.com.x.voip", "00aa"},
	{"quoted display name", "\"Alice <work>; \\\"x\\\", *\" <sip:a@h>;expires=60", "sip:a@h",
		"", 60, ABSENT, "", ABSENT},
	{"display name of tokens", "Alice Adams <sip:a@h>;q=0.5", "sip:a@h", "", NO_EXPIRES, ABSENT,
		"", ABSENT},
	{"display name beyond ASCII", "J\xc3\xb6rg <sip:a@h>", "sip:a@h", "", NO_EXPIRES, ABSENT,
		"", ABSENT},
	{"instance", "<sip:a@h>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\"",
		"sip:a@h", "urn:uuid:00000000-0000-1000-8000-000A95A0E128", NO_EXPIRES, ABSENT, "",
		ABSENT},
	{"instance, escaped", "<sip:a@h>;+sip.instance=\"<x\\\"y\\\\z>\"", "sip:a@h", "x\"y\\z",
		NO_EXPIRES, ABSENT, "", ABSENT},
	{"instance without quotes", "<sip:a@h>;+sip.instance=phone-1", "sip:a@h", "phone-1",
		NO_EXPIRES, ABSENT, "", ABSENT},
	{"names in any case", "<sip:a@h;PN-Provider=apns;Pn-Prid=00>;EXPIRES=7;+SIP.Instance=\"x\"",
		"sip:a@h;PN-Provider=apns;Pn-Prid=00", "x", 7, "apns", "", "00"},
	{"space around it all", " \t<sip:a@h> ; expires = 60 ; +sip.instance = \"<x>\"\t",
		"sip:a@h", "x", 60, ABSENT, "", ABSENT},
	{"semicolon and comma in quotes", "<sip:a@h>;x=\"a;expires=1,<b>\";expires=60", "sip:a@h",
		"", 60, ABSENT, "", ABSENT},
	{"percent-encoded",
		"<sip:a@h;pn-provider=apns;pn-param=T.x.remote%26voip;pn-prid=AA%3Aremote%26bb%"
		"3avoip>",
		"sip:a@h;pn-provider=apns;pn-param=T.x.remote%26voip;pn-prid=AA%3Aremote%26bb%"
		"3avoip",
		"", NO_EXPIRES, "apns", "T.x.remote&voip", "AA:remote&bb:voip"},
	{"provider without prid", "<sip:a@h;pn-provider=apns>", "sip:a@h;pn-provider=apns", "",
		NO_EXPIRES, "apns", "", ABSENT},
	{"empty provider", "<sip:a@h;pn-provider=;x>", "sip:a@h;pn-provider=;x", "", NO_EXPIRES, "",
		"", ABSENT},
	{"provider without value", "<sip:a@h;pn-provider;x>", "sip:a@h;pn-provider;x", "",
		NO_EXPIRES, "", "", ABSENT},
	{"empty prid", "<sip:a@h;pn-prid=>", "sip:a@h;pn-prid=", "", NO_EXPIRES, ABSENT, "", ""},
	{"pn-* as header parameters", "<sip:a@h>;" PN ";expires=9", "sip:a@h", "", 9, "apns",
		"T.com.x.voip", "00aa"},
	{"the first of two counts", "<sip:a@h;pn-prid=11;pn-prid=22>;pn-prid=33",
		"sip:a@h;pn-prid=11;pn-prid=22", "", NO_EXPIRES, ABSENT, "", "11"},
	{"expires in the URI is not the header's", "<sip:a@h;expires=5>", "sip:a@h;expires=5", "",
		NO_EXPIRES, ABSENT, "", ABSENT},
	{"user part that looks like parameters", "<sip:1001;pn-prid=99?x@h;pn-prid=11>",
		"sip:1001;pn-prid=99?x@h;pn-prid=11", "", NO_EXPIRES, ABSENT, "", "11"},
	{"headers of the URI", "<sip:a@h;pn-prid=11?Subject=x;pn-param=22>",
		"sip:a@h;pn-prid=11?Subject=x;pn-param=22", "", NO_EXPIRES, ABSENT, "", "11"},
	{"bare URI keeps what is its own", "sip:a@h;transport=tls;" PN ";expires=60",
		"sip:a@h;transport=tls;" PN, "", 60, "apns", "T.com.x.voip", "00aa"},
	{"bare URI loses what is the header's",
		"sip:a@h;ob;q=0.5;+sip.instance=\"<x>\";reg-id=1;methods=\"A, B\";lr",
		"sip:a@h;ob;lr", "x", NO_EXPIRES, ABSENT, "", ABSENT},
	{"bare URI with headers", "sip:a@h;pn-prid=11?Subject=x;expires=60",
		"sip:a@h;pn-prid=11?Subject=x", "", 60, ABSENT, "", "11"},
	{"bare URI with spaces between", "sip:a@h ;transport=tls ;expires=60 ",
		"sip:a@h;transport=tls", "", 60, ABSENT, "", ABSENT},
	{"the first of several contacts", "<sip:a@h>;expires=60, <sip:b@h>;expires=0", "sip:a@h",
		"", 60, ABSENT, "", ABSENT},
	{"the first of several bare ones", "sip:a@h;expires=60,sip:b@h;expires=0", "sip:a@h", "",
		60, ABSENT, "", ABSENT},
	{"comma in the user part", "sip:a,b@h", "sip:a,b@h", "", NO_EXPIRES, ABSENT, "", ABSENT},
	{"empty parameters", "<sip:a@h;;>;;expires=60;", "sip:a@h;;", "", 60, ABSENT, "", ABSENT},
	{"expires 0", "<sip:a@h>;expires=0", "sip:a@h", "", 0, ABSENT, "", ABSENT},
	{"expires 2^32-1", "<sip:a@h>;expires=4294967295", "sip:a@h", "", INT_MAX, ABSENT, "",
		ABSENT},
	{"expires endless", "<sip:a@h>;expires=99999999999999999999999", "sip:a@h", "", INT_MAX,
		ABSENT, "", ABSENT},
	{"expires malformed", "<sip:a@h>;expires=soon", "sip:a@h", "", 3600, ABSENT, "", ABSENT},
	{"expires negative", "<sip:a@h>;expires=-1", "sip:a@h", "", 3600, ABSENT, "", ABSENT},
	{"expires empty", "<sip:a@h>;expires=", "sip:a@h", "", 3600, ABSENT, "", ABSENT},
	{"another scheme", "<tel:+4930123456>", "tel:+4930123456", "", NO_EXPIRES, ABSENT, "",
		ABSENT},
};

static void takes_contacts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct contact out;
		bool has_provider = strcmp(good[i].provider, ABSENT) != 0;
		bool has_prid = strcmp(good[i].prid, ABSENT) != 0;

		if (contact_parse(good[i].value, &out))
			fail_msg("%s: refused", good[i].name);
		if (strcmp(out.uri, good[i].uri) != 0 ||
			strcmp(out.instance, good[i].instance) != 0 ||
			out.expires_s != good[i].expires_s || out.star)
			fail_msg("%s: uri %s instance %s expires %d", good[i].name, out.uri,
				out.instance, out.expires_s);
		if (out.has_provider != has_provider || out.has_prid != has_prid ||
			strcmp(out.pn_provider, has_provider ? good[i].provider : "") != 0 ||
			strcmp(out.pn_prid, has_prid ? good[i].prid : "") != 0 ||
			strcmp(out.pn_param, good[i].param) != 0)
			fail_msg("%s: provider %s param %s prid %s", good[i].name, out.pn_provider,
				out.pn_param, out.pn_prid);
	}
}

static void star_is_every_contact(void **state)
{
	struct contact out;

	(void)state;
	assert_int_equal(contact_parse("*", &out), ERR_OK);
	assert_true(out.star);
	assert_string_equal(out.uri, "");
	assert_int_equal(out.expires_s, -1);
	assert_int_equal(contact_parse(" * ", &out), ERR_OK);
	assert_int_equal(contact_parse("<sip:*@h>", &out), ERR_OK);
	assert_false(out.star);
}

static void refuses_what_is_no_contact(void **state)
{
	static const struct {
		const char *name, *value;
	} rows[] = {
		{"empty", ""},
		{"space", "  "},
		{"no scheme", "1001@10.0.0.1"},
		{"no scheme in brackets", "<1001>"},
		{"scheme alone", "sip:"},
		{"scheme that begins with a digit", "5ip:a@h"},
		{"empty brackets", "<>"},
		{"brackets do not end", "<sip:a@h;expires=0"},
		{"brackets do not begin", "sip:a@h>"},
		{"brackets in brackets", "<sip:a@h<x>>"},
		{"display name does not end", "\"Alice <sip:a@h>"},
		{"display name ends in a backslash", "\"Alice\\"},
		{"display name alone", "\"Alice\""},
		{"display name, no brackets", "\"Alice\" sip:a@h"},
		{"quotes do not end", "<sip:a@h>;+sip.instance=\"<x>"},
		{"quotes do not end, bare", "sip:a@h;+sip.instance=\"<x>"},
		{"quotes in the URI", "<sip:a@h;x=\"y\">"},
		{"space in the URI", "<sip:a @h>"},
		{"space in a bare URI", "sip:a@h x"},
		{"space in a bare user", "sip:a b@h"},
		{"words behind", "<sip:a@h> expires=0"},
		{"words behind quotes", "<sip:a@h>;x=\"y\"z"},
		{"brackets behind", "<sip:a@h>;x=<y>"},
		{"star and more", "*;expires=0"},
		{"line feed", "<sip:a@h>;x=\n"},
		{"line feed in the URI", "<sip:a\n@h>"},
		{"DEL", "<sip:a@h>;x=\x7f"},
		{"broken escape", "<sip:a@h;pn-prid=0%g0>"},
		{"half an escape", "<sip:a@h;pn-prid=0%2>"},
		{"escaped NUL", "<sip:a@h;pn-prid=00%00ff>"},
		{"escaped line feed", "<sip:a@h;pn-param=T.x%0avoip>"},
		{"escaped DEL", "<sip:a@h;pn-param=T.x%7Fvoip>"},
		{"escape beyond ASCII", "<sip:a@h;pn-provider=%ff>"},
		{"provider too long", "<sip:a@h;pn-provider=abcdefghijklmnopqrstuvwxyzabcdef>"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct contact out = {.uri = "untouched"};

		if (contact_parse(rows[i].value, &out) != ERR_INVAL)
			fail_msg("%s: taken as %s", rows[i].name, out.uri);
		assert_string_equal(out.uri, "untouched");
	}
}

/* prefix, as many `a` as asked, suffix */
static void fill(char *out, size_t size, const char *prefix, size_t count, const char *suffix)
{
	char run[2 * CONTACT_SIZE];

	assert_true(count < sizeof(run));
	memset(run, 'a', count);
	run[count] = '\0';
	assert_true((size_t)snprintf(out, size, "%s%s%s", prefix, run, suffix) < size);
}

static void lengths_are_bounded(void **state)
{
	static const struct {
		const char *name, *prefix, *suffix;
		size_t longest;
	} rows[] = {
		{"value", "<sip:a@h>;x=", "", CONTACT_SIZE - 1 - 12},
		{"bare URI", "sip:", "", CONTACT_SIZE - 1 - 4},
		{"pn-prid", "<sip:a@h;pn-prid=", ">", CONTACT_PRID_SIZE - 1},
		{"pn-param", "<sip:a@h;pn-param=", ">", CONTACT_PARAM_SIZE - 1},
		{"pn-provider", "sip:a@h;pn-provider=", "", 31},
		{"instance", "<sip:a@h>;+sip.instance=\"<", ">\"", 255},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char value[2 * CONTACT_SIZE];
		struct contact out;

		fill(value, sizeof(value), rows[i].prefix, rows[i].longest, rows[i].suffix);
		if (contact_parse(value, &out))
			fail_msg("%s: the longest is refused", rows[i].name);
		fill(value, sizeof(value), rows[i].prefix, rows[i].longest + 1, rows[i].suffix);
		if (contact_parse(value, &out) != ERR_INVAL)
			fail_msg("%s: one more is taken", rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_contacts),
		cmocka_unit_test(star_is_every_contact),
		cmocka_unit_test(refuses_what_is_no_contact),
		cmocka_unit_test(lengths_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
