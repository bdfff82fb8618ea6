/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pbxpush/core/outcome.h>

#include "session_internal.h"

/* The body of an answer is at most a line of JSON. More than this and the stream is given up; the
 * status stands. */
#define BODY_SEEN_MAX   65536
#define RETRY_AFTER_MAX 86400

#define FRAME_HEADER_BYTES 9 /* RFC 9113 4.1 */

static bool field_is(const char *name, const uint8_t *field, size_t len)
{
	return strlen(name) == len && memcmp(name, field, len) == 0;
}

/* A small decimal number, bounded by max; -1 for anything else (Retry-After may be a date). */
static int number_parse(const uint8_t *text, size_t len, int max)
{
	int value = 0;

	if (len == 0 || len > 9)
		return -1;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value < max ? value : max;
}

static int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name,
	size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user_data)
{
	struct session *session = user_data;
	struct stream *stream = nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);

	(void)flags;
	if (!stream)
		return 0;
	if (field_is(":status", name, name_len)) {
		stream->status = number_parse(value, value_len, 999);
	} else if (field_is("apns-id", name, name_len)) {
		if (value_len < sizeof(stream->apns_id)) {
			memcpy(stream->apns_id, value, value_len);
			stream->apns_id[value_len] = '\0';
		}
	} else if (field_is("date", name, name_len)) {
		if (value_len < sizeof(session->date)) {
			memcpy(session->date, value, value_len);
			session->date[value_len] = '\0';
		}
	} else if (field_is("retry-after", name, name_len)) {
		stream->retry_after_s = number_parse(value, value_len, RETRY_AFTER_MAX);
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *h2, uint8_t flags, int32_t stream_id, const uint8_t *data,
	size_t len, void *user_data)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(h2, stream_id);

	(void)flags, (void)user_data;
	if (!stream)
		return 0;
	stream->body_seen += len;
	if (stream->body_seen > BODY_SEEN_MAX)
		return nghttp2_submit_rst_stream(h2, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_CANCEL);
	size_t room = OUTCOME_BODY_MAX - stream->body_len;
	if (len > room)
		len = room;
	char *body = len ? realloc(stream->body, stream->body_len + len + 1) : NULL;
	if (body) { /* else: judged by the status alone */
		memcpy(body + stream->body_len, data, len);
		stream->body = body;
		stream->body_len += len;
		body[stream->body_len] = '\0';
	}
	return 0;
}

/* True of a GOAWAY that tells nothing new: said before, or bare after another. */
static bool goaway_is_stale(const struct session *session, const struct session_goaway *goaway)
{
	if (session->goaway_count && !goaway->len && goaway->error == NGHTTP2_NO_ERROR)
		return true;
	for (size_t i = 0; i < session->goaway_count; i++) {
		const struct session_goaway *known = &session->goaways[i];
		if (known->error == goaway->error && known->len == goaway->len &&
			memcmp(known->data, goaway->data, goaway->len) == 0)
			return true;
	}
	return false;
}

/* RFC 9113 6.8: a warning may come first, and the one with the reason later. Streams above
 * last_stream_id are closed by nghttp2 after this, as refused. */
static void goaway_seen(struct session *session, const nghttp2_goaway *goaway)
{
	struct session_goaway seen = {.error = goaway->error_code, .len = goaway->opaque_data_len};

	session->leaving = true;
	if (seen.len > sizeof(seen.data))
		seen.len = sizeof(seen.data);
	if (seen.len)
		memcpy(seen.data, goaway->opaque_data, seen.len);
	if (session->goaway_count < GOAWAYS_MAX && !goaway_is_stale(session, &seen))
		session->goaways[session->goaway_count++] = seen;
}

const struct session_goaway *session_next_goaway(struct session *session)
{
	if (session->goaways_told == session->goaway_count)
		return NULL;
	return &session->goaways[session->goaways_told++];
}

static int on_frame_recv(nghttp2_session *h2, const nghttp2_frame *frame, void *user_data)
{
	struct session *session = user_data;

	(void)h2;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		goaway_seen(session, &frame->goaway);
	else if (frame->hd.type == NGHTTP2_PING && frame->hd.flags & NGHTTP2_FLAG_ACK)
		session->ping_answered = true;
	else if (frame->hd.type == NGHTTP2_WINDOW_UPDATE && frame->hd.stream_id == 0)
		session->window_updates++;
	return 0;
}

/* nghttp2 tells this while it hands the frame out: its bytes are not among the produced ones
 * yet. */
static int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *user_data)
{
	struct session *session = user_data;

	if (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		struct stream *stream =
			nghttp2_session_get_stream_user_data(h2, frame->hd.stream_id);
		if (stream) {
			stream->written_us = session->now_us;
			stream->end_offset =
				session->produced_bytes + FRAME_HEADER_BYTES + frame->hd.length;
		}
	}
	return 0;
}

/* A request that could not become a stream (its id is unknown to nghttp2 then): surely unsent. */
static int on_frame_not_send(
	nghttp2_session *h2, const nghttp2_frame *frame, int lib_error_code, void *user_data)
{
	struct session *session = user_data;
	struct stream *stream;

	(void)h2, (void)lib_error_code;
	if (frame->hd.type != NGHTTP2_HEADERS)
		return 0;
	TAILQ_FOREACH (stream, &session->open, link) {
		if (stream->id == frame->hd.stream_id) {
			stream_finish(session, stream, STREAM_UNPROCESSED);
			break;
		}
	}
	return 0;
}

static int on_stream_close(
	nghttp2_session *h2, int32_t stream_id, uint32_t error_code, void *user_data)
{
	struct session *session = user_data;
	struct stream *stream = nghttp2_session_get_stream_user_data(h2, stream_id);

	/* Never anything but 0 from here: CVE-2023-35945. */
	if (!stream)
		return 0;
	enum stream_end end = stream_fate(session, stream);
	if (error_code == NGHTTP2_REFUSED_STREAM && end == STREAM_AMBIGUOUS)
		end = STREAM_UNPROCESSED;
	stream_finish(session, stream, end);
	return 0;
}

void session_set_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}

uint64_t session_window_updates(const struct session *session)
{
	return session->window_updates;
}

int64_t session_date_s(const struct session *session)
{
	struct tm tm = {0};
	const char *end = strptime(session->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	return end && !*end ? (int64_t)timegm(&tm) : -1;
}
