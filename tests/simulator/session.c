/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>

#define HEADER_BLOCK_MAX 1048576 /* so that --garbage headers can be sent */

static const struct {
	const char *name;
	size_t len;
} header_names[SIM_HEADERS] = {
	[SIM_METHOD] = {":method", 7},
	[SIM_PATH] = {":path", 5},
	[SIM_AUTHORIZATION] = {"authorization", 13},
	[SIM_TOPIC] = {"apns-topic", 10},
	[SIM_PUSH_TYPE] = {"apns-push-type", 14},
	[SIM_ID] = {"apns-id", 7},
	[SIM_EXPIRATION] = {"apns-expiration", 15},
	[SIM_PRIORITY] = {"apns-priority", 13},
	[SIM_COLLAPSE_ID] = {"apns-collapse-id", 16},
};

static enum sim_header header_known(const uint8_t *name, size_t len)
{
	for (int i = 0; i < SIM_HEADERS; i++)
		if (len == header_names[i].len && memcmp(name, header_names[i].name, len) == 0)
			return (enum sim_header)i;
	return SIM_HEADERS;
}

const char *sim_request_header(const struct sim_request *request, enum sim_header header)
{
	size_t at = request->known[header];

	return at ? request->text.data + at - 1 : NULL;
}

void sim_violation(struct sim_conn *conn, const char *what, int64_t stream)
{
	conn->sim->stats.violations++;
	sim_journal_event(conn->sim, conn, "violation", what, stream);
}

static struct sim_request *request_new(struct sim_conn *conn, int32_t stream_id)
{
	struct sim_request *request = LIST_FIRST(&conn->sim->spare);
	struct buf text = {0}, body = {0};

	if (request) {
		LIST_REMOVE(request, next);
		text = request->text;
		body = request->body;
		buf_reset(&text);
		buf_reset(&body);
	} else {
		request = malloc(sizeof(*request));
		if (!request)
			return NULL;
	}
	*request = (struct sim_request){.conn = conn, .stream_id = stream_id};
	request->text = text;
	request->body = body;
	LIST_INSERT_HEAD(&conn->requests, request, next);
	return request;
}

void sim_request_release(struct sim_request *request)
{
	struct sim *sim = request->conn->sim;

	heap_remove(&sim->delayed, &request->due);
	LIST_REMOVE(request, next);
	LIST_INSERT_HEAD(&sim->spare, request, next);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *arg)
{
	struct sim_conn *conn = arg;

	if (hd->type != NGHTTP2_HEADERS || hd->stream_id <= conn->last_stream)
		return 0;
	conn->last_stream = hd->stream_id;
	if (conn->goaway_seen)
		sim_violation(conn, "request after GOAWAY", hd->stream_id);
	/* The limit that the client has acknowledged. Above one that it may not know yet nghttp2
	 * answers REFUSED_STREAM. */
	if (conn->open >= nghttp2_session_get_local_settings(
				  session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)) {
		sim_violation(conn, "more streams than allowed", hd->stream_id);
		conn->doom = "Maximum active streams violated for this endpoint";
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct sim_conn *conn = arg;
	struct sim_request *request;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	request = request_new(conn, frame->hd.stream_id);
	if (!request)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, request);
	if (++conn->open > conn->sim->stats.max_streams)
		conn->sim->stats.max_streams = conn->open;
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *arg)
{
	struct sim_request *request =
		nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	struct buf *text;
	enum sim_header known;

	(void)flags;
	if (!request || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	text = &request->text;
	if (request->header_count == SIM_HEADER_COUNT ||
		text->len + name_len + value_len > SIM_HEADER_LIST_MAX) {
		sim_violation(arg, "header list too large", frame->hd.stream_id);
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	request->name_at[request->header_count] = text->len;
	buf_add(text, name, name_len);
	buf_add_char(text, '\0');
	request->value_at[request->header_count++] = text->len;
	known = header_known(name, name_len);
	if (known != SIM_HEADERS) {
		request->duplicate |= request->known[known] != 0;
		request->known[known] = text->len + 1;
	}
	buf_add(text, value, value_len);
	buf_add_char(text, '\0');
	return text->failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
	size_t len, void *arg)
{
	struct sim_conn *conn = arg;
	struct sim_request *request = nghttp2_session_get_stream_user_data(session, stream_id);

	(void)flags;
	if (request) {
		size_t room = SIM_BODY_KEPT - request->body.len;

		buf_add(&request->body, data, len < room ? len : room);
		request->body_len += len;
	}
	nghttp2_session_consume_stream(session, stream_id, len);
	if (conn->fault.no_window)
		conn->withheld += len;
	else
		nghttp2_session_consume_connection(session, len);
	return 0;
}

static void session_on_ping(struct sim_conn *conn, const nghttp2_frame *frame)
{
	struct sim *sim = conn->sim;
	int64_t now_us = clock_mono_us();

	if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
		conn->goaway_seen = true; /* the only PINGs we send stand behind a GOAWAY */
		return;
	}
	sim->stats.pings++;
	sim_journal_event(sim, conn, "ping", NULL, -1);
	if (conn->last_ping_us && conn->open == 0 &&
		now_us - conn->last_ping_us < sim->ping_min_ms * 1000) {
		sim_violation(conn, "PING too soon", -1);
		conn->doom = "too_many_pings";
	}
	conn->last_ping_us = now_us;
	if (!conn->fault.deaf_to_ping)
		nghttp2_submit_ping(conn->http2, NGHTTP2_FLAG_ACK, frame->ping.opaque_data);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct sim_conn *conn = arg;
	struct sim_request *request;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		request = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
		if (request && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
			if (request->stream_id > conn->goaway_last)
				break;
			conn->requests_seen++;
			sim_answer(request);
		}
		break;
	case NGHTTP2_PING:
		session_on_ping(conn, frame);
		break;
	case NGHTTP2_GOAWAY:
		sim_journal_event(
			conn->sim, conn, "client-goaway", NULL, (int64_t)frame->goaway.error_code);
		break;
	case NGHTTP2_SETTINGS:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK)
			sim_journal_event(conn->sim, conn, "settings-ack", NULL,
				nghttp2_session_get_local_settings(
					session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS));
		break;
	}
	return 0;
}

static int on_invalid_frame(
	nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
	struct sim_conn *conn = arg;

	(void)session;
	if (error == NGHTTP2_ERR_REFUSED_STREAM)
		sim_journal_event(
			conn->sim, conn, "refused", "limit not yet known", frame->hd.stream_id);
	else
		sim_violation(conn, nghttp2_strerror(error), frame->hd.stream_id);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *arg)
{
	struct sim_conn *conn = arg;
	struct sim_request *request = nghttp2_session_get_stream_user_data(session, stream_id);

	if (code != NGHTTP2_NO_ERROR)
		sim_journal_event(
			conn->sim, conn, "stream-closed", nghttp2_http2_strerror(code), stream_id);
	if (request) {
		conn->open--;
		sim_request_release(request);
	}
	return 0;
}

static enum err session_create(struct sim_conn *conn)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	enum err err = ERR_NOMEM;

	if (nghttp2_session_callbacks_new(&callbacks) || nghttp2_option_new(&option))
		goto out;
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_auto_ping_ack(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_send_header_block_length(option, HEADER_BLOCK_MAX);
	if (nghttp2_session_server_new2(&conn->http2, callbacks, conn, option) == 0)
		err = ERR_OK;
out:
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return err;
}

/* SETTINGS change the windows of streams only (RFC 9113 6.9.2). */
static int window_widen(struct sim_conn *conn)
{
	if (conn->fault.window <= NGHTTP2_INITIAL_WINDOW_SIZE)
		return 0;
	return nghttp2_session_set_local_window_size(
		conn->http2, NGHTTP2_FLAG_NONE, 0, (int32_t)conn->fault.window);
}

enum err sim_session_new(struct sim_conn *conn)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, SIM_HEADER_LIST_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, conn->fault.window},
	};
	enum err err = session_create(conn);

	if (err)
		return err;
	conn->limit = 1;
	if (nghttp2_submit_settings(conn->http2, NGHTTP2_FLAG_NONE, settings,
		    sizeof(settings) / sizeof(*settings)) ||
		window_widen(conn))
		return ERR_NOMEM;
	return ERR_OK;
}

void sim_session_set_window(struct sim_conn *conn, uint32_t window)
{
	nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window};

	conn->fault.window = window;
	nghttp2_submit_settings(conn->http2, NGHTTP2_FLAG_NONE, &entry, 1);
	window_widen(conn);
	sim_journal_event(conn->sim, conn, "settings", "INITIAL_WINDOW_SIZE", window);
}

void sim_session_set_limit(struct sim_conn *conn, uint32_t limit)
{
	nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limit};

	conn->limit = limit;
	nghttp2_submit_settings(conn->http2, NGHTTP2_FLAG_NONE, &entry, 1);
	sim_journal_event(conn->sim, conn, "settings", "MAX_CONCURRENT_STREAMS", limit);
}

bool sim_session_is_drained(const struct sim_conn *conn)
{
	const struct sim_request *request;

	if (conn->goaway_last == INT32_MAX)
		return false;
	LIST_FOREACH (request, &conn->requests, next) {
		if (request->stream_id <= conn->goaway_last)
			return false;
	}
	return true;
}

/* Written past nghttp2, which after a GOAWAY of its own stops reading as soon as no stream is open,
 * and would not show us a client that goes on. */
static void goaway_write(
	struct sim_conn *conn, int32_t last_stream, uint32_t code, const struct buf *data)
{
	uint8_t head[17] = {0};

	head[1] = (uint8_t)((8 + data->len) >> 8);
	head[2] = (uint8_t)(8 + data->len);
	head[3] = NGHTTP2_GOAWAY;
	for (int i = 0; i < 4; i++) {
		head[9 + i] = (uint8_t)((uint32_t)last_stream >> (24 - 8 * i));
		head[13 + i] = (uint8_t)(code >> (24 - 8 * i));
	}
	sim_conn_write_raw(conn, head, sizeof(head));
	sim_conn_write_raw(conn, data->data, data->len);
}

void sim_session_goaway(
	struct sim_conn *conn, int32_t last_stream, uint32_t code, const char *reason)
{
	struct sim_request *request;
	struct buf data = {0};

	if (last_stream < 0)
		last_stream = conn->last_stream;
	if (reason) {
		buf_add_str(&data, "{\"reason\":");
		buf_add_json(&data, reason);
		buf_add_char(&data, '}');
	}
	goaway_write(conn, last_stream, code, &data);
	buf_free(&data);
	sim_journal_event(conn->sim, conn, "goaway", reason, last_stream);
	conn->goaway_last = last_stream;
	if (last_stream == INT32_MAX)
		return;
	LIST_FOREACH (request, &conn->requests, next) {
		if (request->stream_id > last_stream)
			heap_remove(&conn->sim->delayed, &request->due);
	}
	/* When its ACK is here, the client has read the GOAWAY too: requests sent after it are its
	 * fault, not a crossing on the wire. */
	nghttp2_submit_ping(conn->http2, NGHTTP2_FLAG_NONE, NULL);
}

void sim_session_open_window(struct sim_conn *conn)
{
	nghttp2_session_consume_connection(conn->http2, conn->withheld);
	conn->withheld = 0;
}
