/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include <pbxpush/core/uuid.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define X16          "xxxxxxxxxxxxxxxx"
#define X255         X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 "xxxxxxxxxxxxxxx"

static void sha1(const void *data, size_t len, uint8_t digest[20])
{
	assert_int_equal(EVP_Digest(data, len, digest, NULL, EVP_sha1(), NULL), 1);
}

/* Expected values: Python's uuid.uuid5(uuid.NAMESPACE_URL, "sip-call-id:…"). */
static void test_of_call(void **state)
{
	static const struct {
		const char *call_id;
		int attempt;
		const char *uuid;
	} rows[] = {
		{"a84b4c76e66710@pc33.atlanta.example.com", 1,
			"58707ac1-8259-576a-a897-e573ba1a43ba"},
		{"a84b4c76e66710@pc33.atlanta.example.com", 2,
			"e9c4565b-27d0-5091-83ea-ee0ff5fd8ce5"},
		{"x", 1, "940fcd3f-4f45-5076-87a3-5906c6e1ceb6"},
		{"\xc3\xa9", 1, "d5e12e31-9d09-513f-8fb2-76e8589880d6"},
		{X255, 1, "85be7cbd-e57a-522b-a518-ec1276ed17ec"},
		{X255, 1000, "03386298-250a-5a64-9eb0-71932d1f6cf7"},
		{X255 "cut", 1000, "03386298-250a-5a64-9eb0-71932d1f6cf7"},
	};
	char uuid[UUID_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uuid_of_call(rows[i].call_id, rows[i].attempt, sha1, uuid);
		assert_string_equal(uuid, rows[i].uuid);
	}
}

static void test_random(void **state)
{
	static const struct {
		uint8_t random[16];
		const char *uuid;
	} rows[] = {
		{{0}, "00000000-0000-4000-8000-000000000000"},
		{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			 0xff, 0xff, 0xff},
			"ffffffff-ffff-4fff-bfff-ffffffffffff"},
		/* RFC 9562 A.3 */
		{{0x91, 0x91, 0x08, 0xf7, 0x52, 0xd1, 0x33, 0x20, 0x5b, 0xac, 0xf8, 0x47, 0xdb,
			 0x41, 0x48, 0xa8},
			"919108f7-52d1-4320-9bac-f847db4148a8"},
	};
	char uuid[UUID_SIZE];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uuid_random(rows[i].random, uuid);
		assert_string_equal(uuid, rows[i].uuid);
	}
}

static void test_normalize(void **state)
{
	static const struct {
		const char *text, *uuid; /* NULL: refused */
	} rows[] = {
		{"58707ac1-8259-576a-a897-e573ba1a43ba", "58707ac1-8259-576a-a897-e573ba1a43ba"},
		{"58707AC1-8259-576A-A897-E573BA1A43BA", "58707ac1-8259-576a-a897-e573ba1a43ba"},
		{"00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"},
		{"", NULL},
		{"58707ac1-8259-576a-a897-e573ba1a43b", NULL},
		{"58707ac1-8259-576a-a897-e573ba1a43ba0", NULL},
		{"58707ac1-8259-576a-a897-e573ba1a43ba ", NULL},
		{"58707ac1-8259-576a-a897-e573ba1a43bg", NULL},
		{"58707ac18259576aa897e573ba1a43ba", NULL},
		{"58707ac1-8259-576aa-897-e573ba1a43ba", NULL},
		{"{58707ac1-8259-576a-a897-e573ba1a43ba}", NULL},
		{"-8707ac1-8259-576a-a897-e573ba1a43ba", NULL},
		{"58707ac108259-576a-a897-e573ba1a43ba", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char uuid[UUID_SIZE] = "untouched";
		bool ok = uuid_normalize(rows[i].text, uuid);
		assert_int_equal(ok, rows[i].uuid != NULL);
		assert_string_equal(uuid, ok ? rows[i].uuid : "untouched");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_of_call),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_normalize),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
