/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/pbx/event_batch.h>
#include <pbxpush/pbx/http_message.h>

/* Build with -fsanitize=fuzzer,address,undefined. What a stranger sends over HTTP: a head stays
 * within its bounds, and the events of a body are pieces of it, in order, each a reply's worth. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_EVENTS 5

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Lines end with a line feed. */
static void fuzz_head(const char *text, size_t len)
{
	struct http_head head = {0};
	enum http_line what = HTTP_LINE_MORE;
	struct http_answer answer;
	struct buf out = {0};

	for (size_t at = 0, n; at < len && what == HTTP_LINE_MORE; at += n + 1) {
		const char *feed = memchr(text + at, '\n', len - at);

		n = feed ? (size_t)(feed - text) - at : len - at;
		what = http_head_line(&head, text + at, n);
		check(http_chunk_size(text + at, n) >= -1);
	}
	check(memchr(head.method, '\0', sizeof(head.method)) &&
		memchr(head.path, '\0', sizeof(head.path)) &&
		memchr(head.credentials, '\0', sizeof(head.credentials)));
	check(!strpbrk(head.path, "\r\n") && !strpbrk(head.credentials, "\r\n"));
	check(head.length >= 0 && (head.bytes <= HTTP_HEAD_MAX_BYTES || what == HTTP_LINE_REFUSED));
	if (what == HTTP_LINE_REFUSED) {
		http_answer_refusal(&answer, head.fault, head.why);
		http_answer_write(&answer, &head, true, 0, &out);
		check(!out.failed && out.len > answer.body.len);
		buf_free(&answer.body);
		buf_free(&out);
	}
}

static void fuzz_body(const char *text, size_t len)
{
	struct event_batch batch = {0};
	struct batch_reply replies[MAX_EVENTS] = {{0}};
	struct buf out = {0};
	const char *why, *last = text;
	enum err err = event_batch_split(text, len, MAX_EVENTS, &batch, &why);

	check(err == ERR_OK || err == ERR_INVAL || err == ERR_LIMIT);
	check(batch.count <= MAX_EVENTS && (err || batch.count || batch.kind == BATCH_ARRAY));
	check(batch.kind != BATCH_SINGLE || err || batch.count == 1);
	for (size_t i = 0; i < batch.count; i++) {
		struct batch_event event = batch.events[i];

		check(event.len && event.text >= last && event.text + event.len <= text + len);
		check(!strchr(" \t\r\n", event.text[0]) || !event.text[0]);
		check(batch.kind != BATCH_LINES || !memchr(event.text, '\n', event.len));
		last = event.text + event.len;
		replies[i] = (struct batch_reply){true, (char *)event.text, event.len};
	}
	event_batch_join(batch.kind, replies, batch.count, &out);
	check(!out.failed);
	buf_free(&out);
	event_batch_free(&batch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size ? size : 1);

	memcpy(text, data, size);
	fuzz_head(text, size);
	fuzz_body(text, size);
	free(text);
	return 0;
}
