/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_APNS_SESSION_H
#define PBXPUSH_APNS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <pbxpush/base/err.h>

/*
 * HTTP/2 as a client of APNs speaks it: bytes in, bytes out, no socket and no clock. Nothing is
 * called back: what ended is fetched with session_next_ended() after session_receive(), so that its
 * owner may do as it likes with the session then.
 */
struct session;

enum stream_end {
	STREAM_OPEN,
	STREAM_ANSWERED,    /* `status` says what APNs thinks */
	STREAM_UNPROCESSED, /* surely: refused, above a GOAWAY's last id, or not sent to its end */
	STREAM_AMBIGUOUS,   /* sent, and no answer */
};

/* One request. Lives inside its owner's struct, which must stay until the stream has ended. */
struct stream {
	TAILQ_ENTRY(stream) link;
	int32_t id;
	enum stream_end end;
	bool timed_out;    /* ended by session_expire() */
	int status;        /* of the answer, 0: none came */
	int retry_after_s; /* -1: absent */
	char apns_id[37];  /* of the answer, "" where absent */
	char *body;        /* NUL-terminated, or NULL; freed by stream_reset() */
	size_t body_len;
	int64_t submitted_us; /* monotonic */
	int64_t written_us;   /* monotonic: the end of the request went out; 0 not yet */
	/* the session's own */
	const char *payload;
	size_t payload_len, payload_sent, body_seen;
	uint64_t end_offset;
};

TAILQ_HEAD(stream_list, stream);

/* Frees what an answer left in the stream and makes it ready for the next attempt. */
void stream_reset(struct stream *stream);

/* Header values are copied; the payload is borrowed until the stream has ended. */
struct session_request {
	const char *path, *authorization, *topic, *push_type, *apns_id, *expiration, *priority;
	const char *collapse_id; /* or NULL */
	const char *payload;
	size_t payload_len;
};

/* authority: copied. Our SETTINGS are the first thing it has to send. */
enum err session_new(const char *authority, struct session **out);

/* Streams must have ended before (session_abandon). Accepts NULL. */
void session_free(struct session *session);

/* ---- requests ---- */

/*
 * True when a request of payload_len may be submitted now: the peer's limit of streams (1 before
 * its SETTINGS) and its window have room and no GOAWAY was seen.
 */
bool session_has_room(const struct session *session, size_t payload_len);

/* Hands in a request. Only with room, or the answer is ERR_LIMIT. */
enum err session_submit(struct session *session, struct stream *stream,
	const struct session_request *request, int64_t now_us);

/* True when the end of the request will surely not leave if the stream is cancelled now: then it
 * cannot be processed. */
bool session_is_unsent(const struct stream *stream);

/* Gives a stream up with RST_STREAM(CANCEL): it ends at once, unprocessed, ambiguous, or answered
 * (the status came, the end of the answer did not), and is not among session_next_ended(). */
void session_cancel(struct session *session, struct stream *stream);

/* Gives up the streams submitted at or before since_us, as timed out where they have no status;
 * fetch them as ended. */
void session_expire(struct session *session, int64_t since_us);

/* Gives up the streams that are surely unsent, because the peer reads no more: they can go
 * elsewhere. Fetch them as ended. */
void session_shed(struct session *session);

/* The next stream that ended, or NULL. */
struct stream *session_next_ended(struct session *session);

/* When the oldest open stream was submitted; 0: none is open. */
int64_t session_oldest_us(const struct session *session);

/* ---- bytes ---- */

/* ERR_PROTOCOL or ERR_NOMEM: the connection must be closed. */
enum err session_receive(struct session *session, const void *data, size_t len);

/* Writes what is to be sent, at most size bytes; 0 when there is nothing. ERR_* as above. */
enum err session_produce(
	struct session *session, void *out, size_t size, size_t *len, int64_t now_us);

/* So many of the bytes produced have left for the socket. What was not is surely not processed. */
void session_sent(struct session *session, size_t len);

/* The connection is lost: every open stream ends. */
void session_abandon(struct session *session);

/* Sends GOAWAY: we are done. */
void session_close(struct session *session);

/* True when nothing more is to be read or written. */
bool session_is_over(const struct session *session);

/* ---- the connection's health ---- */

/* Sends a PING (RFC 9113 6.7). session_ping_answered() tells of its ACK once. */
enum err session_ping(struct session *session);
bool session_ping_answered(struct session *session);

unsigned session_open_streams(const struct session *session);

/* Streams the peer allows now; an unlimited one counts as SESSION_UNLIMITED. */
#define SESSION_UNLIMITED 1000
unsigned session_stream_limit(const struct session *session);

/* True when the connection's window has no room for the largest push. */
bool session_window_is_short(const struct session *session);

/* How often the peer has opened that window further. */
uint64_t session_window_updates(const struct session *session);

/* True when stream ids are running out. */
bool session_ids_are_short(const struct session *session);

/* True once the peer sent GOAWAY. */
bool session_peer_is_leaving(const struct session *session);

#define GOAWAY_DATA_MAX 512

struct session_goaway {
	uint32_t error;
	size_t len;
	char data[GOAWAY_DATA_MAX]; /* for outcome_goaway_reason() */
};

/* The next GOAWAY that told something new, each once and a few at most; NULL when there is none.
 * Lives as long as the session. */
const struct session_goaway *session_next_goaway(struct session *session);

/* The `date` header of the last answer as Unix time, -1 where none came. Parses: not for every
 * answer. */
int64_t session_date_s(const struct session *session);

/* For tests: the id of the next stream (RFC 9113 5.1.1 spends them). */
void session_skip_ids(struct session *session, int32_t next_id);

#endif
