/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/pbx/evapi_frame.h>

#include "repeat.h"

#define COUNT(array)   (sizeof(array) / sizeof((array)[0]))
#define KAMAILIO_BYTES 32767 /* what its buffer takes */

/* The reader of Kamailio's evapi module, as evapi_frame.h describes it. */
struct kamailio {
	char data[KAMAILIO_BYTES + 1];
	size_t len;
	bool closed;
	size_t texts, bytes; /* received */
	size_t garbled;      /* memcpy(3) of what overlaps */
};

/* The colon of the netstring at `at`; 0: what there is gets thrown away. *len is the text's. */
static size_t kamailio_colon(const struct kamailio *k, size_t at, size_t *len)
{
	size_t colon = at;

	for (*len = 0; colon < k->len && k->data[colon] != ':'; colon++) {
		if (k->data[colon] < '0' || k->data[colon] > '9')
			return 0;
		*len = *len * 10 + (size_t)(k->data[colon] - '0');
	}
	return colon == k->len || !*len ? 0 : colon;
}

/* Goes through what it has, and keeps what is unfinished. */
static void kamailio_parse(struct kamailio *k)
{
	size_t at = 0, len;

	for (;;) {
		while (at < k->len && strchr(" \t\r\n", k->data[at]))
			at++;
		size_t colon = at < k->len ? kamailio_colon(k, at, &len) : 0;
		if (!colon)
			break;
		if (colon + len >= k->len) {
			k->len -= at;
			k->garbled += at && k->len > at;
			memmove(k->data, k->data + at, k->len);
			return;
		}
		if (colon + 1 + len == k->len || k->data[colon + 1 + len] != ',')
			break;
		k->texts++;
		k->bytes += len;
		at = colon + 1 + len + 1;
	}
	k->len = 0;
}

/* One recv(2). Returns how much it took. */
static size_t kamailio_read(struct kamailio *k, const char *data, size_t len)
{
	if (len > KAMAILIO_BYTES - k->len)
		len = KAMAILIO_BYTES - k->len;
	if (!len) {
		k->closed = true;
		return 0;
	}
	memcpy(k->data + k->len, data, len);
	k->len += len;
	kamailio_parse(k);
	return len;
}

/* Lets it read the stream: all of it is there, or one piece that was sent after the other. */
static struct kamailio *kamailio_take(const struct buf *stream, size_t piece_max)
{
	struct kamailio *k = calloc(1, sizeof(*k));

	for (size_t at = 0, piece; at < stream->len && !k->closed; at += piece) {
		const char *data = stream->data + at;
		piece = stream->len - at;
		if (piece_max)
			piece = evapi_frames_within(data, piece, piece_max);
		assert_true(piece);
		for (size_t got = 0; got < piece && !k->closed;)
			got += kamailio_read(k, data + got, piece - got);
	}
	return k;
}

/* Replies of many sizes; each is a JSON object. */
static size_t add_replies(struct buf *stream, size_t count, size_t most, bool plain)
{
	char *fill = repeat("x", most);
	size_t seed = 1, bytes = 0;
	struct buf reply = {0};

	for (size_t i = 0; i < count; i++) {
		seed = (seed * 1103515245 + 12345) & 0x7fffffff;
		buf_reset(&reply);
		buf_printf(&reply, "{\"id\":%zu,\"fill\":\"%.*s\"}", i, (int)(seed / 65536 % most),
			fill);
		bytes += reply.len;
		if (plain)
			buf_printf(stream, "%zu:%s,", reply.len, reply.data);
		else
			evapi_frame_add(stream, reply.data, reply.len);
	}
	buf_free(&reply);
	free(fill);
	return bytes;
}

static void test_bursts_arrive(void **state)
{
	static const size_t pieces[] = {0, 32768, 16368};
	static const size_t sizes[] = {10, 100, 1000, 5000, 16000};

	(void)state;
	for (size_t i = 0; i < COUNT(pieces); i++) {
		for (size_t j = 0; j < COUNT(sizes); j++) {
			struct buf stream = {0};
			size_t count = sizes[j] > 1000 ? 2000 : 20000;
			size_t bytes = add_replies(&stream, count, sizes[j], false);
			struct kamailio *k = kamailio_take(&stream, pieces[i]);

			if (k->texts != count || k->garbled || k->bytes < bytes ||
				k->bytes > bytes + 61 * count)
				fail_msg("replies of up to %zu bytes in pieces of %zu: %zu of "
					 "%zu arrive",
					sizes[j], pieces[i], k->texts, count);
			free(k);
			buf_free(&stream);
		}
	}
}

/* So the model sees what it is there for: the same replies in plain netstrings. */
static void test_bursts_of_plain_netstrings_do_not(void **state)
{
	struct buf stream = {0};
	struct kamailio *k;

	(void)state;
	add_replies(&stream, 100000, 1000, true);
	k = kamailio_take(&stream, 0);
	assert_in_range(k->texts, 1, 90000);
	free(k);
	buf_free(&stream);
}

/* All of one length: where its buffer ends is no matter of chance then. */
static void test_equal_replies_arrive(void **state)
{
	char *fill = repeat("x", 2100);

	(void)state;
	for (size_t len = 1; len <= 2100; len += 3) {
		size_t count = 20 * KAMAILIO_BYTES / (len + 100);
		struct buf stream = {0};
		struct kamailio *k;

		for (size_t i = 0; i < count; i++)
			evapi_frame_add(&stream, fill, len);
		k = kamailio_take(&stream, 0);
		assert_int_equal(k->texts, count);
		assert_int_equal(k->garbled, 0);
		free(k);
		buf_free(&stream);
	}
	free(fill);
}

/* Every length there is. */
static void test_every_length(void **state)
{
	char *text = repeat("x", EVAPI_FRAME_MAX_BYTES);

	(void)state;
	for (size_t len = 1; len <= EVAPI_FRAME_MAX_BYTES; len++) {
		struct buf frame = {0};
		char *colon;
		size_t said;

		evapi_frame_add(&frame, text, len);
		assert_false(frame.failed);
		said = strtoul(frame.data, &colon, 10);
		assert_true(*colon == ':' && said >= len && said < len + 62);
		assert_memory_equal(colon + 1, text, len);
		assert_int_equal(strspn(colon + 1 + len, " "), said - len);
		assert_string_equal(colon + 1 + said, ",");
		assert_int_equal(frame.len % 31, 0);
		assert_true(frame.len <= KAMAILIO_BYTES / 2);
		assert_int_equal(evapi_frames_within(frame.data, frame.len, frame.len), frame.len);
		assert_int_equal(evapi_frames_within(frame.data, frame.len, frame.len - 1), 0);
		buf_free(&frame);
	}
	free(text);
}

static void test_longest(void **state)
{
	char *text = repeat("x", EVAPI_FRAME_MAX_BYTES);
	struct buf stream = {0};
	struct kamailio *k;

	(void)state;
	for (int i = 0; i < 10; i++)
		evapi_frame_add(&stream, text, EVAPI_FRAME_MAX_BYTES);
	k = kamailio_take(&stream, 0);
	assert_int_equal(k->texts, 10);
	assert_int_equal(k->bytes, 10 * EVAPI_FRAME_MAX_BYTES);
	assert_int_equal(k->garbled, 0);
	free(k);
	buf_free(&stream);
	free(text);
}

#define TOO_LONG                                                                                   \
	"\"ok\":false,\"error\":\"too-long\",\"field\":null,\"message\":\"the reply has %zu "      \
	"bytes, of which Kamailio's evapi takes 16361\"}"

static const struct {
	const char *name, *begin, *error; /* error: how it begins */
} too_long[] = {
	{"a number as id", "{\"id\":17,\"ok\":true,", "{\"id\":17,"},
	{"a string as id", "{\"id\":\"12:34\",\"ok\":true,", "{\"id\":\"12:34\","},
	{"no id", "{\"ok\":true,", "{"},
	{"an id that looks like what follows it", "{\"id\":\"\\\"ok\\\":,ok\",\"ok\":true,",
		"{\"id\":\"\\\"ok\\\":,ok\","},
	{"an error", "{\"id\":null,\"ok\":false,", "{\"id\":null,"},
};

static void test_too_long(void **state)
{
	char *fill = repeat("x", EVAPI_FRAME_MAX_BYTES);

	(void)state;
	for (size_t i = 0; i < COUNT(too_long); i++) {
		struct buf reply = {0}, frame = {0}, wanted = {0};

		buf_printf(&reply, "%s\"fill\":\"%s\"}", too_long[i].begin, fill);
		evapi_frame_add(&frame, reply.data, reply.len);
		buf_printf(&wanted, "%s" TOO_LONG, too_long[i].error, reply.len);
		char *text = strchr(frame.data, ':') + 1;
		if (strncmp(text, wanted.data, wanted.len) != 0)
			fail_msg("%s: %s instead of %s", too_long[i].name, text, wanted.data);
		assert_int_equal(
			strspn(text + wanted.len, " "), strtoul(frame.data, NULL, 10) - wanted.len);
		buf_free(&reply);
		buf_free(&frame);
		buf_free(&wanted);
	}
	free(fill);
}

/* Somebody's id may be as long as a line: it is left out. */
static void test_too_long_with_a_great_id(void **state)
{
	char *id = repeat("i", 40000);
	struct buf reply = {0}, frame = {0};

	(void)state;
	buf_printf(&reply, "{\"id\":\"%s\",\"ok\":true}", id);
	evapi_frame_add(&frame, reply.data, reply.len);
	assert_true(frame.len < 300);
	assert_non_null(strstr(frame.data, ":{\"ok\":false,\"error\":\"too-long\""));
	buf_free(&reply);
	buf_free(&frame);
	free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bursts_arrive),
		cmocka_unit_test(test_bursts_of_plain_netstrings_do_not),
		cmocka_unit_test(test_equal_replies_arrive),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_too_long_with_a_great_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
