/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/aor.h>
#include <pbxpush/core/number.h>
#include <pbxpush/core/utf8.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* What is clean is not changed, what is repaired is clean. */
static void check_repair(const char *line, size_t len)
{
	struct buf out = {0};

	utf8_json_repair(line, len, &out);
	must(!out.failed);
	if (utf8_json_is_clean(line, len))
		must(out.len == len && (!len || !memcmp(out.data, line, len)));
	must(utf8_json_is_clean(buf_str(&out), out.len));
	buf_free(&out);
}

/* In a string without quotes and backslashes there is nothing left that a strict parser refuses. */
static void check_string(const char *text, size_t len)
{
	struct buf line = {0}, out = {0}, clean = {0};

	buf_add_char(&line, '"');
	for (size_t i = 0; i < len; i++)
		buf_add_char(&line, strchr("\"\\", text[i]) && text[i] ? '/' : text[i]);
	buf_add_char(&line, '"');
	utf8_json_repair(line.data, line.len, &out);
	json_t *json = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
	must(json != NULL);
	utf8_sanitize(json_string_value(json), &clean);
	const char *name = buf_str(&clean);
	for (size_t i = 0; name[i]; i++)
		must((unsigned char)name[i] >= 0x20 && name[i] != 0x7f);
	json_t *cut = json_stringn(name, utf8_cut(name, clean.len, clean.len / 2));
	must(cut != NULL); /* jansson takes only valid UTF-8 */
	json_decref(cut);
	json_decref(json);
	buf_free(&line);
	buf_free(&out);
	buf_free(&clean);
}

static void check_address(const char *text)
{
	static const struct number_rules rules = {"49", "00", "0", 6};
	char aor[AOR_SIZE], again[AOR_SIZE], number[NUMBER_SIZE], shown[32];

	if (!aor_normalize(text, "example.com", aor)) {
		must(!aor_normalize(aor, "example.com", again));
		must(!strcmp(aor, again));
		must(*aor_domain(aor) != '\0');
	}
	number_normalize(&rules, text, number);
	must(strlen(number) < sizeof(number));
	number_for_log(NUMBER_MASKED, text, shown, sizeof(shown));
	must(strlen(shown) < sizeof(shown));
	number_is_withheld(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* An exact copy, so that a read beyond the end is caught. */
	char *line = malloc(size ? size : 1), *text = malloc(size + 1);

	must(line && text);
	if (size) {
		memcpy(line, data, size);
		memcpy(text, data, size);
	}
	text[size] = '\0';
	check_repair(line, size);
	check_string(line, size);
	check_address(text);
	free(line);
	free(text);
	return 0;
}
