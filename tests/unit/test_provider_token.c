/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pbxpush/apns/apns.h>
#include <pbxpush/apns/provider_token.h>
#include <pbxpush/apns/signing_key.h>

#define S(seconds) ((int64_t)(seconds)*1000000)

static char dir[64];
static char key_file[96], other_key_file[96];

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

static void write_key(const char *path, EVP_PKEY *key)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	EVP_PKEY_free(key);
}

static int make_keys(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/pbxpush-token-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(key_file, sizeof(key_file), "%s/a.p8", dir);
	snprintf(other_key_file, sizeof(other_key_file), "%s/b.p8", dir);
	write_key(key_file, EVP_EC_gen("P-256"));
	write_key(other_key_file, EVP_EC_gen("P-256"));
	return 0;
}

static int remove_keys(void **state)
{
	(void)state;
	unlink(key_file);
	unlink(other_key_file);
	return rmdir(dir);
}

static struct provider_token *token_of(const char *team, const char *key_id, const char *file)
{
	struct provider_token *token = NULL;
	char why[256] = "";

	assert_int_equal(provider_token_new(team, key_id, file, &token, why, sizeof(why)), ERR_OK);
	return token;
}

static struct provider_now at(int64_t mono_s, int64_t wall_s)
{
	return (struct provider_now){.mono_us = S(mono_s), .wall_s = wall_s, .random = 0};
}

static void part_of(const char *jwt, int index, char *out, size_t size)
{
	while (index--)
		jwt = strchr(jwt, '.') + 1;
	int len = base64url_decode(jwt, strcspn(jwt, "."), (unsigned char *)out, size - 1);
	assert_true(len >= 0);
	out[len] = '\0';
}

/* RFC 7515 A.3 and RFC 7518 3.4: three parts, no padding, a signature of exactly 64 bytes. */
static void the_jwt_is_what_apple_asks_for(void **state)
{
	struct provider_token *token = token_of("DEF123GHIJ", "ABC123DEFG", key_file);
	const struct provider_now now = at(5, 1763790000);
	char text[256];
	unsigned char raw[128];

	(void)state;
	assert_null(provider_token_bearer(token));
	assert_int_equal(provider_token_age_s(token, S(5)), -1);
	assert_true(provider_token_refresh(token, &now));
	const char *bearer = provider_token_bearer(token);
	assert_memory_equal(bearer, "bearer ", 7);
	const char *jwt = provider_token_jwt(token);
	assert_string_equal(jwt, bearer + 7);
	part_of(jwt, 0, text, sizeof(text));
	assert_string_equal(text, "{\"alg\":\"ES256\",\"kid\":\"ABC123DEFG\"}");
	part_of(jwt, 1, text, sizeof(text));
	assert_string_equal(text, "{\"iss\":\"DEF123GHIJ\",\"iat\":1763790000}");
	const char *signature = strrchr(jwt, '.') + 1;
	assert_int_equal(strlen(signature), 86);
	assert_int_equal(base64url_decode(signature, 86, raw, sizeof(raw)), 64);
	assert_null(strpbrk(jwt, "+/="));
	provider_token_free(token);
}

static void the_signature_verifies(void **state)
{
	struct provider_token *token = token_of("DEF123GHIJ", "ABC123DEFG", key_file);
	EVP_PKEY *key = NULL, *other = NULL;
	char why[256];

	(void)state;
	assert_int_equal(signing_key_load(key_file, &key, why, sizeof(why)), ERR_OK);
	assert_int_equal(signing_key_load(other_key_file, &other, why, sizeof(why)), ERR_OK);
	/* R or S with leading zeros would be too short if they were not padded: many tries. */
	for (int i = 0; i < 600; i++) {
		const struct provider_now now = at(i * 3600, 1763790000 + i);
		assert_true(provider_token_refresh(token, &now));
		assert_true(signing_key_verify(key, provider_token_jwt(token)));
		assert_int_equal(strlen(strrchr(provider_token_jwt(token), '.') + 1), 86);
	}
	assert_false(signing_key_verify(other, provider_token_jwt(token)));
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	provider_token_free(token);
}

/* Each row begins with a token signed at 0 s by both clocks (wall counts from WALL). */
#define WALL 1763790000
static void refreshed_when_it_is_time(void **state)
{
	static const struct {
		const char *name;
		int64_t mono_s, wall_s;
		bool signs;
	} ROWS[] = {
		{"at once again", 0, 0, false},
		{"after 20 minutes", 1200, 1200, false},
		{"just before 40 minutes", 2399, 2399, false},
		{"after 40 minutes", 2400, 2400, true},
		{"clock jumps ahead by an hour, token is young", 60, 3660, false},
		{"clock jumps ahead by an hour, 20 minutes over", 1200, 4800, true},
		{"clock jumps back, 20 minutes over", 1200, 0, true},
		{"clock is trimmed by NTP", 1300, 1340, false},
		{"wall clock says 50 minutes, token is young", 600, 3000, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		struct provider_token *token = token_of("T", "K", key_file);
		const struct provider_now first = at(0, WALL);
		const struct provider_now then = at(ROWS[i].mono_s, WALL + ROWS[i].wall_s);
		assert_true(provider_token_refresh(token, &first));
		if (provider_token_refresh(token, &then) != ROWS[i].signs)
			fail_msg("%s", ROWS[i].name);
		assert_int_equal(provider_token_generation(token), ROWS[i].signs ? 2 : 1);
		provider_token_free(token);
	}
}

static void the_refresh_is_spread_over_ten_minutes(void **state)
{
	struct provider_token *token = token_of("T", "K", key_file);
	struct provider_now now = at(0, WALL);

	(void)state;
	now.random = UINT32_MAX;
	assert_true(provider_token_refresh(token, &now));
	int64_t spread_s = UINT32_MAX % PROVIDER_TOKEN_JITTER_S;
	now = at(2400 + spread_s - 1, WALL + 2400 + spread_s - 1);
	assert_false(provider_token_refresh(token, &now));
	now = at(2400 + spread_s, WALL + 2400 + spread_s);
	assert_true(provider_token_refresh(token, &now));
	assert_in_range(spread_s, 1, 599);
	provider_token_free(token);
}

static void expired_gives_one_new_token(void **state)
{
	struct provider_token *token = token_of("T", "K", key_file);
	struct provider_now now = at(0, WALL);

	(void)state;
	provider_token_refresh(token, &now);
	now = at(60, WALL + 60);
	assert_true(provider_token_expired(token, 1, &now));
	assert_int_equal(provider_token_generation(token), 2);
	/* Others that went with the old one only go again. */
	assert_true(provider_token_expired(token, 1, &now));
	assert_int_equal(provider_token_generation(token), 2);
	/* The new one is refused too: not one a push, that would be TooManyProviderTokenUpdates. */
	now = at(61, WALL + 61);
	assert_false(provider_token_expired(token, 2, &now));
	assert_int_equal(provider_token_generation(token), 2);
	assert_false(provider_token_clock_jumped(token, &now));
	now = at(60 + 1200, WALL + 60 + 1200);
	assert_true(provider_token_expired(token, 2, &now));
	assert_int_equal(provider_token_generation(token), 3);
	provider_token_free(token);
}

/* The clock was wrong when both were signed: no reason to wait once it is right (FAULTS 17). */
static void a_jump_ends_the_wait(void **state)
{
	struct provider_token *token = token_of("T", "K", key_file);
	struct provider_now now = at(0, WALL);

	(void)state;
	provider_token_refresh(token, &now);
	assert_true(provider_token_expired(token, 1, &now));
	assert_false(provider_token_expired(token, 2, &now));
	now = at(10, WALL + 7200);
	assert_true(provider_token_clock_jumped(token, &now));
	assert_true(provider_token_expired(token, 2, &now));
	assert_int_equal(provider_token_generation(token), 3);
	assert_false(provider_token_expired(token, 3, &now));
	provider_token_free(token);
}

static void kept_across_restarts_while_young(void **state)
{
	static const struct {
		const char *name;
		int64_t later_s;
		const char *team, *key_id;
		bool other_key, taken;
	} ROWS[] = {
		{"at once", 0, "TEAM", "KEY", false, true},
		{"after half an hour", 1800, "TEAM", "KEY", false, true},
		{"after 40 minutes", 2400, "TEAM", "KEY", false, false},
		{"a little from the future", -3, "TEAM", "KEY", false, true},
		{"an hour from the future", -3600, "TEAM", "KEY", false, false},
		{"of another team", 10, "OTHER", "KEY", false, false},
		{"of another key id", 10, "TEAM", "OTHER", false, false},
		{"of a key that was replaced under its name", 10, "TEAM", "KEY", true, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		struct provider_token *first = token_of("TEAM", "KEY", key_file);
		struct provider_token *second = token_of(ROWS[i].team, ROWS[i].key_id,
			ROWS[i].other_key ? other_key_file : key_file);
		const struct provider_now before = at(100000, WALL);
		/* After a restart the monotonic clock may begin anew. */
		const struct provider_now after = at(7, WALL + ROWS[i].later_s);
		provider_token_refresh(first, &before);
		bool taken = !provider_token_restore(second, provider_token_jwt(first), &after);
		if (taken != ROWS[i].taken)
			fail_msg("%s", ROWS[i].name);
		if (taken) {
			int64_t age_s = ROWS[i].later_s > 0 ? ROWS[i].later_s : 0;
			assert_string_equal(provider_token_jwt(first), provider_token_jwt(second));
			assert_int_equal(provider_token_age_s(second, S(7)), age_s);
			assert_false(provider_token_refresh(second, &after));
		}
		provider_token_free(first);
		provider_token_free(second);
	}
}

static void a_kept_file_may_hold_anything(void **state)
{
	static const char *const ROWS[] = {"", ".", "..", "...", "a.b.c", "eyJ.eyJ.x",
		"eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjE3NjM3OTAwMDB9.AAAA", "\xff\xfe", "a.%.c"};
	struct provider_token *token = token_of("TEAM", "KEY", key_file);
	const struct provider_now now = at(7, WALL);
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++)
		assert_int_not_equal(provider_token_restore(token, ROWS[i], &now), ERR_OK);
	assert_null(provider_token_jwt(token));
	/* One character changed anywhere. */
	provider_token_refresh(token, &now);
	snprintf(text, sizeof(text), "%s", provider_token_jwt(token));
	for (size_t i = 0; text[i]; i++) {
		char kept = text[i];
		text[i] = kept == 'A' ? 'B' : 'A';
		/* The last character's low bits stand for nothing. */
		if (text[i + 1])
			assert_int_not_equal(provider_token_restore(token, text, &now), ERR_OK);
		text[i] = kept;
	}
	provider_token_free(token);
}

static void file_names_tell_keys_apart(void **state)
{
	struct provider_token *a = token_of("TEAM", "KEY", key_file);
	struct provider_token *b = token_of("TEAM", "KEY", other_key_file);
	char name_a[96], name_b[96];

	(void)state;
	provider_token_file_name(a, name_a);
	provider_token_file_name(b, name_b);
	assert_string_not_equal(name_a, name_b);
	assert_non_null(strstr(name_a, "TEAM-KEY-"));
	provider_token_free(a);
	provider_token_free(b);
}

static void ids_cannot_leave_the_directory(void **state)
{
	static const char *const ROWS[] = {
		"", "../../etc/x", "A\"B", "A B", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"};
	struct provider_token *token = NULL;
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		assert_int_equal(
			provider_token_new(ROWS[i], "KEY", key_file, &token, why, sizeof(why)),
			ERR_INVAL);
		assert_int_equal(
			provider_token_new("TEAM", ROWS[i], key_file, &token, why, sizeof(why)),
			ERR_INVAL);
	}
	assert_null(token);
}

static void bad_key_files_are_named(void **state)
{
	static const struct {
		const char *text;
		enum err err;
		const char *says;
	} ROWS[] = {
		{NULL, ERR_IO, "No such file"},
		{"", ERR_CRYPTO, "no PEM block"},
		{"hello\n", ERR_CRYPTO, "no PEM block"},
		{"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", ERR_CRYPTO,
			"SEC1"},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n", ERR_CRYPTO, "encrypted"},
		{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ERR_CRYPTO,
			"no private key"},
	};
	char path[96], why[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/bad.p8", dir);
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		if (ROWS[i].text)
			write_file(path, ROWS[i].text);
		why[0] = '\0';
		assert_int_equal(apns_check_key(path, why, sizeof(why)), ROWS[i].err);
		if (!strstr(why, ROWS[i].says) || !strstr(why, "bad.p8"))
			fail_msg("row %zu: %s", i, why);
	}
	write_key(path, EVP_EC_gen("P-384"));
	assert_int_equal(apns_check_key(path, why, sizeof(why)), ERR_CRYPTO);
	assert_non_null(strstr(why, "P-256"));
	write_key(path, EVP_RSA_gen(2048));
	assert_int_equal(apns_check_key(path, why, sizeof(why)), ERR_CRYPTO);
	assert_non_null(strstr(why, "P-256"));
	write_key(path, EVP_EC_gen("P-256"));
	assert_int_equal(apns_check_key(path, why, sizeof(why)), ERR_OK);
	unlink(path);
}

static void base64url_is_rfc4648(void **state)
{
	static const struct {
		const char *data, *text;
	} ROWS[] = {{"", ""}, {"f", "Zg"}, {"fo", "Zm8"}, {"foo", "Zm9v"}, {"foob", "Zm9vYg"},
		{"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};

	(void)state;
	for (size_t i = 0; i < sizeof(ROWS) / sizeof(ROWS[0]); i++) {
		struct buf out = {0};
		unsigned char back[16];
		size_t len = strlen(ROWS[i].data);
		base64url_add(&out, ROWS[i].data, len);
		assert_string_equal(buf_str(&out), ROWS[i].text);
		assert_int_equal(
			base64url_decode(ROWS[i].text, strlen(ROWS[i].text), back, sizeof(back)),
			len);
		assert_memory_equal(back, ROWS[i].data, len);
		buf_free(&out);
	}
	unsigned char small[2];
	assert_int_equal(base64url_decode("Zm9v", 4, small, sizeof(small)), -1);
	assert_int_equal(base64url_decode("Zm9=", 4, small, sizeof(small)), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_jwt_is_what_apple_asks_for),
		cmocka_unit_test(the_signature_verifies),
		cmocka_unit_test(refreshed_when_it_is_time),
		cmocka_unit_test(the_refresh_is_spread_over_ten_minutes),
		cmocka_unit_test(expired_gives_one_new_token),
		cmocka_unit_test(a_jump_ends_the_wait),
		cmocka_unit_test(kept_across_restarts_while_young),
		cmocka_unit_test(a_kept_file_may_hold_anything),
		cmocka_unit_test(file_names_tell_keys_apart),
		cmocka_unit_test(ids_cannot_leave_the_directory),
		cmocka_unit_test(bad_key_files_are_named),
		cmocka_unit_test(base64url_is_rfc4648),
	};

	return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
