/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/news.h>
#include <pbxpush/core/push.h>
#include <pbxpush/core/template.h>

/* Build with -fsanitize=fuzzer,address,undefined; conf/payload is the corpus. Whatever template is
 * taken, it makes JSON of any call, with an `aps`, of a size that Apple takes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_body(struct buf *out, enum template_kind kind)
{
	json_t *root;

	check(!out->failed);
	check(out->len <= (kind == TEMPLATE_VOIP ? PUSH_VOIP_MAX_BYTES : PUSH_ALERT_MAX_BYTES));
	root = json_loadb(out->data, out->len, JSON_REJECT_DUPLICATES, NULL);
	check(json_is_object(json_object_get(root, "aps")));
	json_decref(root);
	buf_reset(out);
}

static void check_rendering(const struct template *template, enum template_kind kind)
{
	static char name[9000], number[700];
	const struct payload_call calls[] = {
		{.uuid = "u", .call_id = "c", .callee = "1001", .fallback_name = "\"U\\"},
		{.uuid = "u",
			.call_id = number,
			.caller_name = name,
			.caller_number = number,
			.caller_uri = "sip:\xc3\xa4@x",
			.callee = number,
			.video = true,
			.started_ms = INT64_MAX,
			.expires_ms = INT64_MIN,
			.data = "{\"a\":[1,{\"b\":null}],\"k\":\"\\\"}${uuid}\",\"\":true}",
			.fallback_name = "x",
			.app = "a.b",
			.device = "d"},
	};
	struct news news = NEWS_INIT;
	struct buf out = {0};
	bool truncated;

	memset(name, '"', sizeof(name) - 1);
	memset(number, '\x01', sizeof(number) - 1);
	for (size_t i = 0; i < 2; i++) {
		template_write_call(template, &calls[i], &out, &truncated);
		check_body(&out, kind);
	}
	news.type = NEWS_MESSAGE;
	news.to = "1001";
	news.conversation = number;
	news.text = name;
	if (kind == TEMPLATE_ALERT) {
		news_write(&news, template, &out, &truncated);
		check_body(&out, kind);
	}
	buf_free(&out);
}

/* The first byte tells the kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template *template = NULL;
	struct buf error = {0};
	enum template_kind kind;
	enum err err;

	if (!size)
		return 0;
	kind = data[0] % 2 ? TEMPLATE_ALERT : TEMPLATE_VOIP;
	err = template_compile((const char *)data + 1, size - 1, kind, &template, &error);
	check(err == ERR_OK || err == ERR_INVAL);
	check((err == ERR_OK) == (error.len == 0));
	if (!err)
		check_rendering(template, kind);
	template_free(template);
	buf_free(&error);
	return 0;
}
