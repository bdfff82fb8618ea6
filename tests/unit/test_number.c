/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/core/number.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct number_rules germany = {"49", "00", "0", 6};
static const struct number_rules america = {"1", "011", "1", 6};
static const struct number_rules italy = {"39", "00", "", 4};
static const struct number_rules hungary = {"36", "00", "06", 4};
static const struct number_rules russia = {"7", "810", "8", 4};
static const struct number_rules australia = {"61", "0011", "0", 6};
static const struct number_rules no_country = {"", "00", "0", 6};

static const struct {
	const char *name;
	const struct number_rules *rules;
	const char *text, *number;
} rows[] = {
	{"E.164 stays", &germany, "+4930123456", "+4930123456"},
	{"foreign E.164 stays", &germany, "+15551230001", "+15551230001"},
	{"international prefix", &germany, "004930123456", "+4930123456"},
	{"international prefix abroad", &germany, "0015551230001", "+15551230001"},
	{"national prefix", &germany, "030123456", "+4930123456"},
	{"national prefix, short", &germany, "0301", "+49301"},
	{"extension", &germany, "1001", "1001"},
	{"longest extension", &germany, "123456", "123456"},
	{"extension that begins like the country", &germany, "4912", "4912"},
	{"longer, with the country code", &germany, "4930123456", "+4930123456"},
	{"longer, without it: national", &germany, "30123456", "+4930123456"},
	{"one digit beyond an extension", &germany, "1234567", "+491234567"},
	{"operator", &germany, "0", "0"},
	{"only prefixes", &germany, "00", "00"},
	{"emergency", &germany, "112", "112"},
	{"zeros for an unknown number", &germany, "0000000000", "0000000000"},
	{"fifteen digits", &germany, "00123456789012345", "+123456789012345"},
	{"sixteen are no E.164", &germany, "001234567890123456", "001234567890123456"},
	{"sixteen with the code added", &germany, "012345678901234", "012345678901234"},

	{"separators", &germany, "+49 (30) 123-45.6/7", "+49301234567"},
	{"separators before +", &germany, " (+49) 30-123456", "+4930123456"},
	{"tabs", &germany, "030\t123456", "+4930123456"},
	{"separators in an extension", &germany, "10-01", "1001"},
	{"(0) is not dialled", &germany, "+49 (0)30 123456", "+4930123456"},
	{"(0) after 00", &germany, "0049 (0) 30 123456", "+4930123456"},
	{"(0) without a country", &germany, "(0)30 123456", "+4930123456"},

	{"tel", &germany, "tel:+49-30-123456", "+4930123456"},
	{"tel with parameters", &germany, "tel:+49-30-123;phone-context=+49;ext=5", "+4930123"},
	{"local tel", &germany, "tel:1001;phone-context=pbx.example.com", "1001"},
	{"sip", &germany, "sip:+4930123456@pbx.example.com;user=phone", "+4930123456"},
	{"sips, scheme without case", &germany, "SIPS:030123456@192.0.2.1:5061", "+4930123456"},
	{"sip without host", &germany, "sip:1001", "1001"},
	{"host without scheme", &germany, "1001@pbx.example.com", "1001"},
	{"parameters of the number", &germany, "sip:+4930123;npdi;rn=5@h;user=phone", "+4930123"},
	{"escaped +", &germany, "sip:%2B4930123456@h", "+4930123456"},
	{"name-addr", &germany, "\"Alice 7\" <sip:030123456@h>", "+4930123456"},
	{"headers", &germany, "sip:030123456@h?Subject=5", "+4930123456"},

	{"letters", &germany, "alice", "alice"},
	{"letters with a domain", &germany, "sip:Alice@pbx.example.com;lr",
		"Alice@pbx.example.com"},
	{"digits and letters", &germany, "1-800-FLOWERS", "1-800-FLOWERS"},
	{"letters after +", &germany, "+49abc", "+49abc"},
	{"UTF-8", &germany, "J\xc3\xb6rg", "J\xc3\xb6rg"},
	{"second +", &germany, "+49+30", "+49+30"},
	{"no digit", &germany, "+", "+"},
	{"empty", &germany, "", ""},
	{"withheld", &germany, "anonymous", "anonymous"},
	{"star code", &germany, "*21#", "*21#"},
	{"star code with a prefix", &germany, "00*4930123456", "00*4930123456"},

	{"prefix of a list", &germany, "+4990*", "+4990*"},
	{"prefix with 00", &germany, "004990*", "+4990*"},
	{"prefix with 0", &germany, "0900*", "+49900*"},
	{"prefix of extensions", &germany, "10*", "10*"},
	{"everything", &germany, "*", "*"},

	{"+ without country code", &no_country, "+49 30/123456", "+4930123456"},
	{"00 without country code", &no_country, "00 49 30 123456", "004930123456"},
	{"0 without country code", &no_country, "(030) 123456", "030123456"},
	{"long without country code", &no_country, "4930123456", "4930123456"},
	{"URI without country code", &no_country, "sip:030-123@h;user=phone", "030123"},
	{"(0) without country code", &no_country, "+49(0)30", "+49030"},

	{"ten digits", &america, "5551230001", "+15551230001"},
	{"eleven digits", &america, "15551230001", "+15551230001"},
	{"011", &america, "0114930123456", "+4930123456"},
	{"extension like the national prefix", &america, "1001", "1001"},
	{"six digits like it", &america, "123456", "123456"},
	{"punctuation", &america, "(555) 123-0001", "+15551230001"},
	{"no national prefix: 0 belongs to the number", &italy, "0612345678", "+390612345678"},
	{"no national prefix: 00", &italy, "00390612345678", "+390612345678"},
	{"national prefix of two digits", &hungary, "06 1 234 5678", "+3612345678"},
	{"prefix that begins an extension", &russia, "8001", "8001"},
	{"the same in a number", &russia, "8 495 123-45-67", "+74951234567"},
	{"international prefix of three", &russia, "810 49 30 123456", "+4930123456"},
	{"0011", &australia, "0011 49 30 123456", "+4930123456"},
	{"emergency of zeros", &australia, "000", "000"},
};

static void test_normalize(void **state)
{
	char number[NUMBER_SIZE], again[NUMBER_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		number_normalize(rows[i].rules, rows[i].text, number);
		if (strcmp(number, rows[i].number))
			fail_msg("%s: %s", rows[i].name, number);
		number_normalize(rows[i].rules, number, again);
		if (strcmp(again, number))
			fail_msg("%s: %s becomes %s", rows[i].name, number, again);
	}
}

static void test_long_input_is_cut(void **state)
{
	char text[4 * NUMBER_SIZE], number[NUMBER_SIZE];

	(void)state;
	memset(text, '7', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	number_normalize(&germany, text, number);
	assert_int_equal(strlen(number), NUMBER_SIZE - 1);

	/* U+00E9 does not fit in half. */
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 3);
	number_normalize(&germany, text, number);
	assert_int_equal(strlen(number), NUMBER_SIZE - 2);

	snprintf(text, sizeof(text), "%0*d@%s", NUMBER_SIZE, 0, "host");
	number_normalize(&germany, text, number);
	assert_int_equal(strlen(number), NUMBER_SIZE - 1);
}

static void test_withheld(void **state)
{
	static const struct {
		const char *text;
		bool withheld;
	} forms[] = {
		{"", true},
		{"anonymous", true},
		{"Anonymous", true},
		{"RESTRICTED", true},
		{"private", true},
		{"unavailable", true},
		{"anonymous@anonymous.invalid", true},
		{"sip:anonymous@anonymous.invalid", true},
		{"SIP:Anonymous@Anonymous.Invalid;user=phone", true},
		{"\"Anonymous\" <sip:anonymous@anonymous.invalid>", true},
		{"sip:anonymous", true},
		{"1001", false},
		{"+4930123456", false},
		{"anonymously", false},
		{"anon", false},
		{"alice@anonymous.invalid", false},
		{"private@example.com", false},
		{"\"Anonymous\" <sip:1001@example.com>", false},
		{"anonymous@anonymous.invalid.example.com", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++)
		if (number_is_withheld(forms[i].text) != forms[i].withheld)
			fail_msg("%s", forms[i].text);
}

static void test_for_log(void **state)
{
	static const struct {
		enum number_privacy privacy;
		const char *text, *shown;
	} forms[] = {
		{NUMBER_FULL, "+4930123456", "+4930123456"},
		{NUMBER_NONE, "+4930123456", "-"},
		{NUMBER_NONE, "", "-"},
		{NUMBER_MASKED, "", ""},
		{NUMBER_MASKED, "1001", "1001"},
		{NUMBER_MASKED, "123456", "123456"},
		{NUMBER_MASKED, "1234567", "123**67"},
		{NUMBER_MASKED, "+4930123456", "+493*****56"},
		{NUMBER_MASKED, "+49 30 12 34 56", "+49 3* ** ** 56"},
		{NUMBER_MASKED, "030/123-45-67", "030/***-**-67"},
		{NUMBER_MASKED, "alice@example.com", "alice@example.com"},
		{NUMBER_MASKED, "1001@192.168.100.200", "1001@192.168.100.200"},
		{NUMBER_MASKED, "sip:+4930123456@192.168.1.20;user=phone",
			"sip:+493*****56@192.168.1.20;user=phone"},
		{NUMBER_MASKED, "x@4930123456.example.com", "x@493*****56.example.com"},
		{NUMBER_MASKED, "1001a12345678", "1001a123***78"},
		{NUMBER_MASKED, "12345678;87654321", "123***78;876***21"},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < COUNT(forms); i++)
		assert_string_equal(
			number_for_log(forms[i].privacy, forms[i].text, out, sizeof(out)),
			forms[i].shown);
	/* What is cut off counts when it comes to where the last two digits stand. */
	assert_string_equal(number_for_log(NUMBER_MASKED, "+4930123456", out, 8), "+493***");
	assert_string_equal(number_for_log(NUMBER_FULL, "J\xc3\xb6rg", out, 3), "J");
	assert_string_equal(number_for_log(NUMBER_NONE, "123", out, 2), "-");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalize),
		cmocka_unit_test(test_long_input_is_cut),
		cmocka_unit_test(test_withheld),
		cmocka_unit_test(test_for_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
