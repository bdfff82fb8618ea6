/* SPDX-License-Identifier: MIT */
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/push.h>

#include "session_internal.h"
#include <pbxpush/apns/session.h>

#define IDS_SHORT       (INT32_MAX - 0x10000)
#define HEADER_LIST_MAX 8192

void stream_reset(struct stream *stream)
{
	free(stream->body);
	*stream = (struct stream){.retry_after_s = -1};
}

static enum err err_from_nghttp2(int rv)
{
	return rv == NGHTTP2_ERR_NOMEM ? ERR_NOMEM : ERR_PROTOCOL;
}

static enum err session_start(struct session *session)
{
	/* A push service pushes nothing at us, and its answers are small. */
	static const nghttp2_settings_entry SETTINGS[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST_MAX},
	};
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int rv = nghttp2_session_callbacks_new(&callbacks);

	if (rv)
		goto out;
	rv = nghttp2_option_new(&option);
	if (rv)
		goto out;
	/* nghttp2 would assume 100 until SETTINGS arrive; APNs allows one and says GOAWAY above
	 * it. */
	nghttp2_option_set_peer_max_concurrent_streams(option, 1);
	session_set_callbacks(callbacks);
	rv = nghttp2_session_client_new2(&session->h2, callbacks, session, option);
	if (!rv)
		rv = nghttp2_submit_settings(session->h2, NGHTTP2_FLAG_NONE, SETTINGS,
			sizeof(SETTINGS) / sizeof(SETTINGS[0]));
out:
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return rv ? err_from_nghttp2(rv) : ERR_OK;
}

enum err session_new(const char *authority, struct session **out)
{
	struct session *session = calloc(1, sizeof(*session));
	enum err err = ERR_NOMEM;

	if (!session)
		return err;
	TAILQ_INIT(&session->open);
	TAILQ_INIT(&session->ended);
	session->authority = strdup(authority);
	if (session->authority)
		err = session_start(session);
	if (err)
		session_free(session);
	else
		*out = session;
	return err;
}

void session_free(struct session *session)
{
	if (!session)
		return;
	nghttp2_session_del(session->h2);
	free(session->authority);
	free(session);
}

unsigned session_stream_limit(const struct session *session)
{
	uint32_t limit = nghttp2_session_get_remote_settings(
		session->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);

	return limit == UINT32_MAX ? SESSION_UNLIMITED : limit;
}

unsigned session_open_streams(const struct session *session)
{
	return session->open_count;
}

/* Bytes of payload that the peer's window still takes, after what is submitted already. */
static int64_t window_left(const struct session *session)
{
	return (int64_t)nghttp2_session_get_remote_window_size(session->h2) -
	       (int64_t)session->unsent_payload;
}

bool session_window_is_short(const struct session *session)
{
	return window_left(session) < PUSH_VOIP_MAX_BYTES;
}

bool session_ids_are_short(const struct session *session)
{
	return nghttp2_session_get_next_stream_id(session->h2) >= (uint32_t)IDS_SHORT;
}

bool session_has_room(const struct session *session, size_t payload_len)
{
	/* The connection's window begins at 65,535 bytes (RFC 9113 6.9.2): every push fits some
	 * time. */
	return !session->leaving && session->open_count < session_stream_limit(session) &&
	       window_left(session) >= (int64_t)payload_len &&
	       nghttp2_session_check_request_allowed(session->h2);
}

static ssize_t payload_read(nghttp2_session *h2, int32_t stream_id, uint8_t *buf, size_t length,
	uint32_t *data_flags, nghttp2_data_source *source, void *user_data)
{
	struct session *session = user_data;
	struct stream *stream = nghttp2_session_get_stream_user_data(h2, stream_id);

	(void)source;
	if (!stream)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	size_t n = stream->payload_len - stream->payload_sent;
	if (n > length)
		n = length;
	memcpy(buf, stream->payload + stream->payload_sent, n);
	stream->payload_sent += n;
	session->unsent_payload -= n;
	if (stream->payload_sent == stream->payload_len)
		*data_flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

#define FIELDS_MAX 12

struct fields {
	nghttp2_nv nv[FIELDS_MAX];
	size_t count;
};

/*
 * Names are static. Apple keeps a small HPACK table and says what may enter it: never `:path` and
 * `authorization`; `apns-id`, `apns-expiration` and `apns-collapse-id` once, which puts their names
 * there. NO_INDEX makes nghttp2 write a never-indexed literal (RFC 7541 6.2.3).
 */
static void fields_add(struct fields *fields, const char *name, const char *value, bool index)
{
	fields->nv[fields->count++] = (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.namelen = strlen(name),
		.value = (uint8_t *)(uintptr_t)value,
		.valuelen = strlen(value),
		.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | (index ? 0 : NGHTTP2_NV_FLAG_NO_INDEX),
	};
}

static bool is_first(bool *done)
{
	bool first = !*done;

	*done = true;
	return first;
}

static void fields_of_request(
	struct session *session, const struct session_request *request, struct fields *fields)
{
	/* of all VoIP pushes: the table has it already, or from now on */
	bool now_or_never = !strcmp(request->expiration, "0");

	fields_add(fields, ":method", "POST", true);
	fields_add(fields, ":scheme", "https", true);
	fields_add(fields, ":path", request->path, false);
	fields_add(fields, ":authority", session->authority, true);
	fields_add(fields, "authorization", request->authorization, false);
	fields_add(fields, "apns-id", request->apns_id, is_first(&session->sent_id));
	fields_add(fields, "apns-push-type", request->push_type, true);
	fields_add(fields, "apns-expiration", request->expiration,
		is_first(&session->sent_expiration) || now_or_never);
	fields_add(fields, "apns-priority", request->priority, true);
	fields_add(fields, "apns-topic", request->topic, true);
	if (request->collapse_id)
		fields_add(fields, "apns-collapse-id", request->collapse_id,
			is_first(&session->sent_collapse_id));
}

enum err session_submit(struct session *session, struct stream *stream,
	const struct session_request *request, int64_t now_us)
{
	const nghttp2_data_provider provider = {.read_callback = payload_read};
	struct fields fields = {.count = 0};

	if (!session_has_room(session, request->payload_len))
		return ERR_LIMIT;
	fields_of_request(session, request, &fields);
	int32_t id = nghttp2_submit_request(
		session->h2, NULL, fields.nv, fields.count, &provider, stream);
	if (id < 0)
		return id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? ERR_LIMIT : err_from_nghttp2(id);
	stream_reset(stream);
	stream->id = id;
	stream->payload = request->payload;
	stream->payload_len = request->payload_len;
	stream->submitted_us = now_us;
	session->unsent_payload += request->payload_len;
	session->open_count++;
	TAILQ_INSERT_TAIL(&session->open, stream, link);
	return ERR_OK;
}

/* Out of the open ones; nghttp2 forgets the pointer, so that nothing touches the stream again. */
static void stream_detach(struct session *session, struct stream *stream)
{
	TAILQ_REMOVE(&session->open, stream, link);
	session->open_count--;
	session->unsent_payload -= stream->payload_len - stream->payload_sent;
	nghttp2_session_set_stream_user_data(session->h2, stream->id, NULL);
}

void stream_finish(struct session *session, struct stream *stream, enum stream_end end)
{
	stream_detach(session, stream);
	stream->end = end;
	TAILQ_INSERT_TAIL(&session->ended, stream, link);
}

/* The status stands in the first frame of an answer: what follows of it changes nothing. */
static bool is_answered(const struct stream *stream)
{
	return stream->status >= 200;
}

enum stream_end stream_fate(const struct session *session, const struct stream *stream)
{
	bool left = stream->written_us && stream->end_offset <= session->sent_bytes;

	if (is_answered(stream))
		return STREAM_ANSWERED;
	return left ? STREAM_AMBIGUOUS : STREAM_UNPROCESSED;
}

/* The same of a stream that we give up: what was produced of it leaves all the same, sooner or
 * later, before our RST_STREAM. */
static enum stream_end stream_fate_given_up(const struct stream *stream)
{
	if (is_answered(stream))
		return STREAM_ANSWERED;
	return stream->written_us ? STREAM_AMBIGUOUS : STREAM_UNPROCESSED;
}

bool session_is_unsent(const struct stream *stream)
{
	return stream_fate_given_up(stream) == STREAM_UNPROCESSED;
}

void session_cancel(struct session *session, struct stream *stream)
{
	stream->end = stream_fate_given_up(stream);
	nghttp2_submit_rst_stream(session->h2, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_CANCEL);
	stream_detach(session, stream);
}

void session_expire(struct session *session, int64_t since_us)
{
	struct stream *stream;

	while ((stream = TAILQ_FIRST(&session->open)) && stream->submitted_us <= since_us) {
		session_cancel(session, stream);
		stream->timed_out = stream->end != STREAM_ANSWERED;
		TAILQ_INSERT_TAIL(&session->ended, stream, link);
	}
}

void session_shed(struct session *session)
{
	struct stream *stream, *next;

	for (stream = TAILQ_FIRST(&session->open); stream; stream = next) {
		next = TAILQ_NEXT(stream, link);
		if (!session_is_unsent(stream))
			continue;
		session_cancel(session, stream);
		TAILQ_INSERT_TAIL(&session->ended, stream, link);
	}
}

struct stream *session_next_ended(struct session *session)
{
	struct stream *stream = TAILQ_FIRST(&session->ended);

	if (stream)
		TAILQ_REMOVE(&session->ended, stream, link);
	return stream;
}

int64_t session_oldest_us(const struct session *session)
{
	const struct stream *stream = TAILQ_FIRST(&session->open);

	return stream ? stream->submitted_us : 0;
}

enum err session_receive(struct session *session, const void *data, size_t len)
{
	ssize_t n = nghttp2_session_mem_recv(session->h2, data, len);

	if (n < 0)
		return err_from_nghttp2((int)n);
	return (size_t)n == len ? ERR_OK : ERR_PROTOCOL;
}

enum err session_produce(
	struct session *session, void *out, size_t size, size_t *len, int64_t now_us)
{
	uint8_t *to = out;
	size_t n = 0;

	session->now_us = now_us;
	while (n < size) {
		if (!session->chunk_len) {
			ssize_t rv = nghttp2_session_mem_send(session->h2, &session->chunk);
			if (rv < 0)
				return err_from_nghttp2((int)rv);
			if (rv == 0)
				break;
			session->chunk_len = (size_t)rv;
		}
		size_t take = size - n < session->chunk_len ? size - n : session->chunk_len;
		memcpy(to + n, session->chunk, take);
		n += take;
		session->chunk += take;
		session->chunk_len -= take;
		session->produced_bytes += take;
	}
	*len = n;
	return ERR_OK;
}

void session_sent(struct session *session, size_t len)
{
	session->sent_bytes += len;
}

void session_abandon(struct session *session)
{
	struct stream *stream;

	while ((stream = TAILQ_FIRST(&session->open)))
		stream_finish(session, stream, stream_fate(session, stream));
}

void session_close(struct session *session)
{
	nghttp2_session_terminate_session(session->h2, NGHTTP2_NO_ERROR);
}

bool session_is_over(const struct session *session)
{
	return !session->chunk_len && !nghttp2_session_want_read(session->h2) &&
	       !nghttp2_session_want_write(session->h2);
}

enum err session_ping(struct session *session)
{
	int rv = nghttp2_submit_ping(session->h2, NGHTTP2_FLAG_NONE, NULL);

	return rv ? err_from_nghttp2(rv) : ERR_OK;
}

bool session_ping_answered(struct session *session)
{
	bool answered = session->ping_answered;

	session->ping_answered = false;
	return answered;
}

bool session_peer_is_leaving(const struct session *session)
{
	return session->leaving;
}

void session_skip_ids(struct session *session, int32_t next_id)
{
	nghttp2_session_set_next_stream_id(session->h2, next_id);
}
