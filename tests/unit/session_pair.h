/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_SESSION_PAIR_H
#define TESTS_UNIT_SESSION_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/apns/session.h>

/*
 * The session against nghttp2's own server, bytes carried by hand. The server notes what it saw and
 * does nothing by itself.
 */
#define SEEN_MAX 64

struct seen {
	int32_t id;
	char fields[1024]; /* "name=value!" (!: never indexed), separated by LF */
	char body[256];
	bool complete;
};

struct server {
	nghttp2_session *h2;
	struct seen seen[SEEN_MAX];
	size_t count, pings, priorities, resets, goaways;
	uint32_t push_setting, reset_code;
};

static inline struct seen *seen_of(struct server *server, int32_t id)
{
	for (size_t i = 0; i < server->count; i++)
		if (server->seen[i].id == id)
			return &server->seen[i];
	assert_true(server->count < SEEN_MAX);
	server->seen[server->count] = (struct seen){.id = id};
	return &server->seen[server->count++];
}

static inline int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct seen *seen = seen_of(arg, frame->hd.stream_id);
	size_t len = strlen(seen->fields);

	(void)h2;
	snprintf(seen->fields + len, sizeof(seen->fields) - len, "%.*s=%.*s%s\n", (int)name_len,
		(const char *)name, (int)value_len, (const char *)value,
		flags & NGHTTP2_NV_FLAG_NO_INDEX ? "!" : "");
	return 0;
}

static inline int on_data(
	nghttp2_session *h2, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *arg)
{
	struct seen *seen = seen_of(arg, id);

	(void)h2, (void)flags;
	strncat(seen->body, (const char *)data, len < 200 ? len : 200);
	return 0;
}

static inline int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *arg)
{
	struct server *server = arg;

	(void)h2;
	switch (frame->hd.type) {
	case NGHTTP2_PING:
		server->pings++;
		break;
	case NGHTTP2_PRIORITY:
		server->priorities++;
		break;
	case NGHTTP2_RST_STREAM:
		server->resets++;
		server->reset_code = frame->rst_stream.error_code;
		break;
	case NGHTTP2_GOAWAY:
		server->goaways++;
		break;
	case NGHTTP2_HEADERS:
		if (frame->hd.flags & NGHTTP2_FLAG_PRIORITY)
			server->priorities++;
		break;
	case NGHTTP2_SETTINGS:
		for (size_t i = 0; i < frame->settings.niv; i++)
			if (frame->settings.iv[i].settings_id == NGHTTP2_SETTINGS_ENABLE_PUSH)
				server->push_setting = frame->settings.iv[i].value;
		break;
	default:
		break;
	}
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM && frame->hd.type == NGHTTP2_DATA)
		seen_of(server, frame->hd.stream_id)->complete = true;
	return 0;
}

struct pair {
	struct session *client;
	struct server server;
	struct stream streams[SEEN_MAX];
	int64_t now_us;
};

static const struct session_request REQUEST = {
	.path = "/3/device/aabb",
	.authorization = "bearer x.y.z",
	.topic = "com.example.phone.voip",
	.push_type = "voip",
	.apns_id = "11111111-2222-4333-8444-555555555555",
	.expiration = "0",
	.priority = "10",
	.payload = "{\"aps\":{}}",
	.payload_len = 10,
};

static inline int setup(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;

	assert_non_null(pair);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_option_new(&option);
	nghttp2_option_set_no_auto_window_update(option, 1);
	pair->server.push_setting = 99;
	nghttp2_session_server_new2(&pair->server.h2, callbacks, &pair->server, option);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	assert_int_equal(session_new("api.push.apple.com", &pair->client), ERR_OK);
	pair->now_us = 1000;
	*state = pair;
	return 0;
}

static inline int teardown(void **state)
{
	struct pair *pair = *state;

	session_abandon(pair->client);
	while (session_next_ended(pair->client))
		;
	session_free(pair->client);
	nghttp2_session_del(pair->server.h2);
	for (size_t i = 0; i < SEEN_MAX; i++)
		free(pair->streams[i].body);
	free(pair);
	return 0;
}

static inline size_t to_server(struct pair *pair)
{
	uint8_t out[16384];
	size_t len, total = 0;

	pair->now_us += 1000;
	while (session_produce(pair->client, out, sizeof(out), &len, pair->now_us) == ERR_OK &&
		len) {
		session_sent(pair->client, len);
		assert_int_equal(nghttp2_session_mem_recv(pair->server.h2, out, len), (ssize_t)len);
		total += len;
	}
	return total;
}

static inline enum err to_client(struct pair *pair)
{
	const uint8_t *data;
	ssize_t len;
	enum err err = ERR_OK;

	while (!err && (len = nghttp2_session_mem_send(pair->server.h2, &data)) > 0)
		err = session_receive(pair->client, data, (size_t)len);
	return err;
}

static inline void exchange(struct pair *pair)
{
	for (int i = 0; i < 4; i++) {
		to_server(pair);
		assert_int_equal(to_client(pair), ERR_OK);
	}
}

static inline void set_limit(struct pair *pair, uint32_t limit)
{
	const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limit};

	nghttp2_submit_settings(pair->server.h2, 0, &entry, 1);
	exchange(pair);
}

static inline enum err submit(struct pair *pair, size_t index)
{
	pair->now_us += 1000;
	return session_submit(pair->client, &pair->streams[index], &REQUEST, pair->now_us);
}

static inline ssize_t read_text(nghttp2_session *h2, int32_t id, uint8_t *buf, size_t length,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct seen *text = source->ptr;
	size_t len = strlen(text->body);

	(void)h2, (void)id, (void)arg;
	assert_true(len <= length);
	memcpy(buf, text->body, len);
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)len;
}

#define NV(n, v)                                                                                   \
	{                                                                                          \
		(uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), strlen(n), strlen(v), 0      \
	}

static inline void respond(struct pair *pair, int32_t id, const char *status, const char *body)
{
	static struct seen text;
	const nghttp2_nv nv[] = {NV(":status", status),
		NV("apns-id", "AAAAAAAA-2222-4333-8444-555555555555"), NV("retry-after", "7"),
		NV("date", "Sat, 22 Nov 2025 06:00:00 GMT")};
	const nghttp2_data_provider provider = {.source.ptr = &text, .read_callback = read_text};

	snprintf(text.body, sizeof(text.body), "%s", body);
	assert_int_equal(
		nghttp2_submit_response(pair->server.h2, id, nv, 4, *body ? &provider : NULL), 0);
	exchange(pair);
}

#endif
