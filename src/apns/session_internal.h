/* SPDX-License-Identifier: MIT */
#ifndef APNS_SESSION_INTERNAL_H
#define APNS_SESSION_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include <pbxpush/apns/session.h>

#define GOAWAYS_MAX 4  /* of one session that are told; a peer could send them for ever */
#define DATE_SIZE   30 /* IMF-fixdate (RFC 9110 5.6.7) */

/* Shared by session.c (requests, bytes) and session_answer.c (what nghttp2 tells). */
struct session {
	nghttp2_session *h2;
	char *authority;
	struct stream_list open, ended;
	unsigned open_count;
	size_t unsent_payload; /* submitted, not in a DATA frame yet */
	int64_t now_us;        /* during session_produce() */
	const uint8_t *chunk;  /* nghttp2's, not copied out yet */
	size_t chunk_len;
	uint64_t produced_bytes, sent_bytes;
	bool ping_answered, leaving;
	uint64_t window_updates;
	bool sent_id, sent_expiration, sent_collapse_id; /* headers: once, at least */
	struct session_goaway goaways[GOAWAYS_MAX];
	size_t goaway_count, goaways_told;
	char date[DATE_SIZE];
};

void session_set_callbacks(nghttp2_session_callbacks *callbacks);

/* Moves an open stream to the ended ones. */
void stream_finish(struct session *session, struct stream *stream, enum stream_end end);

/* What a stream comes to that the peer has closed, or that ends with the connection: answered where
 * its status is known; else only a request that had left to its end can have been processed. */
enum stream_end stream_fate(const struct session *session, const struct stream *stream);

#endif
