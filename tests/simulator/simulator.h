/* SPDX-License-Identifier: MIT */
#ifndef SIMULATOR_H
#define SIMULATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include <event2/event_struct.h>
#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>
#include <pbxpush/base/heap.h>

struct event_base;
struct evconnlistener;
struct sim_journal;
struct sim_control;
struct sim_conn;
struct json_t;

/*
 * An APNs of our own: one thread, one event loop. What all files share is here; a file's own
 * functions follow below under its name.
 */

/* What one key of one team may push to: --app TEAM:KEYID:FILE:BUNDLE,... */
struct sim_app {
	STAILQ_ENTRY(sim_app) next;
	char *team, *kid, *bundles; /* bundles: comma separated */
	EVP_PKEY *key;
	unsigned generation; /* connections whose first push is older do not know this app */

	/* Provider tokens seen, for TooManyProviderTokenUpdates. */
	char *jwt, *previous_jwt;
	int64_t jwt_iat_s;
};

/* A provider token as it was decoded; iat is not yet compared with the clock. */
struct sim_jwt {
	char kid[32], iss[32];
	int64_t iat_s;
	struct sim_app *app;
	const char *problem; /* what is wrong in our words, NULL where it verified */
};

enum sim_action {
	SIM_ANSWER,
	SIM_SILENT,        /* never answer */
	SIM_REFUSE,        /* RST_STREAM(REFUSED_STREAM): surely not processed */
	SIM_RESET_STREAM,  /* RST_STREAM with `code`: fate unknown */
	SIM_GOAWAY,        /* GOAWAY that covers this stream, which is then answered */
	SIM_GOAWAY_BEFORE, /* GOAWAY that leaves this stream out */
	SIM_CLOSE,         /* close the connection in an orderly way, unanswered */
	SIM_RESET,         /* TCP RST, unanswered */
};

enum sim_garbage {
	SIM_CLEAN,
	SIM_GARBAGE_JSON,    /* a body that is not JSON */
	SIM_GARBAGE_BODY,    /* a body of a mebibyte */
	SIM_GARBAGE_HEADERS, /* a hundred kilobytes of headers */
	SIM_GARBAGE_FRAMES,  /* bytes that are not HTTP/2 */
};

/* How to answer requests that match: the nth after `after`, `times` of them. */
struct sim_rule {
	STAILQ_ENTRY(sim_rule) next;
	char *pattern;                                 /* token or prefix and '*', lower case */
	int64_t connection;                            /* 0: every one */
	int64_t after, times;                          /* counted down; times -1: for ever */
	int64_t delay_ms, timestamp_ms, retry_after_s; /* -1: none */
	int64_t code;                                  /* of SIM_RESET_STREAM */
	int status;
	char reason[64];
	bool headers_first;
	enum sim_action action;
	enum sim_garbage garbage;
};
STAILQ_HEAD(sim_rules, sim_rule);

/* Misbehaviour of a whole connection. */
struct sim_fault {
	bool paused;       /* neither read nor write: a half-open connection */
	bool deaf_to_ping; /* PINGs get no ACK */
	bool no_window;    /* the connection's window is never opened again */
	bool shy;          /* says nothing, SETTINGS neither, before its first answer */
	int64_t delay_ms, clock_skew_s;
	uint32_t
		window; /* a stream's at first, and the connection's where it is more than 65,535 */
};

/* What control commands change and `reset` brings back. */
struct sim_tuning {
	struct sim_fault fault; /* of connections to come */
	char alpn[32];          /* the protocol we choose; "" chooses none */
	uint32_t streams;       /* MAX_CONCURRENT_STREAMS after the first good request */
};

struct sim_stats {
	int64_t connections, requests, accepted, violations, pings, tokens, resumed;
	uint32_t max_streams;
};

LIST_HEAD(sim_conns, sim_conn);
LIST_HEAD(sim_requests, sim_request);

struct sim {
	struct event_base *base;
	struct evconnlistener *listener;
	char address[64]; /* as bound, so that listening can be resumed on the same port */
	SSL_CTX *tls;
	struct sim_tuning tuning, initial;
	STAILQ_HEAD(, sim_app) apps;
	unsigned generation;
	struct sim_rules rules;
	struct sim_conns conns;
	struct sim_requests spare; /* finished requests, kept for their memory */
	struct heap delayed;       /* answers to be given later, by clock_mono_us() */
	struct event delay_timer;
	struct sim_stats stats;
	int64_t last_connection;     /* number of the newest */
	struct sim_journal *journal; /* NULL: no log */
	struct sim_control *control;

	int64_t token_min_age_s, ping_min_ms;
	int64_t receive_buffer_bytes; /* 0: the system's */
	bool sandbox, strict;

	char date[32]; /* of the `date` header, made once a second */
	int64_t date_s;
};

enum sim_header {
	SIM_METHOD,
	SIM_PATH,
	SIM_AUTHORIZATION,
	SIM_TOPIC,
	SIM_PUSH_TYPE,
	SIM_ID,
	SIM_EXPIRATION,
	SIM_PRIORITY,
	SIM_COLLAPSE_ID,
	SIM_HEADERS /* their number, and that of a header we do not know */
};

#define SIM_HEADER_LIST_MAX 8000 /* what APNs announces as MAX_HEADER_LIST_SIZE */
#define SIM_BODY_KEPT       8192 /* of a body; the rest is counted only */
#define SIM_HEADER_COUNT    48

/* A stream. The texts keep their memory when the request is used again. */
struct sim_request {
	LIST_ENTRY(sim_request) next;
	struct sim_conn *conn;
	struct heap_node due;
	int32_t stream_id;
	bool duplicate; /* a header that must stand once stood twice */

	struct buf text; /* NAME NUL VALUE NUL ... */
	size_t header_count;
	size_t name_at[SIM_HEADER_COUNT], value_at[SIM_HEADER_COUNT];
	size_t known[SIM_HEADERS]; /* offset of the value + 1, 0: absent */

	struct buf body;
	size_t body_len; /* as received, may exceed body.len */

	/* The answer. */
	const struct sim_jwt *jwt; /* of the connection, valid while the request is checked */
	int status;
	char reason[64];
	char apns_id[40];
	const char *violation; /* static, NULL: none */
	enum sim_action action;
	enum sim_garbage garbage;
	int64_t delay_ms, timestamp_ms, retry_after_s;
	uint32_t code;      /* of SIM_RESET_STREAM */
	bool headers_first; /* they go at once, without END_STREAM; action follows after delay_ms */
	bool body_withheld; /* until then */
	char answer[256];
	size_t answer_len, answer_sent;
};

/* The value of a header, NULL where it is absent. Borrowed from the request. */
const char *sim_request_header(const struct sim_request *request, enum sim_header header);

/* simulator.c: listening, TLS contexts, apps */

/* Loads certificate and key; the context that was is dropped, connections keep theirs. */
enum err sim_load_certificate(struct sim *sim, const char *cert, const char *key);

/* spec: TEAM:KEYID:PUBLIC_KEY_FILE:BUNDLE[,BUNDLE...]. why gets a sentence. */
enum err sim_add_app(struct sim *sim, const char *spec, char *why, size_t why_size);

/* Binds and listens on sim->address, and writes back the port that was bound. */
enum err sim_listen(struct sim *sim);

/* Refuses new connections (RST to each SYN) until sim_listen(). */
void sim_listen_stop(struct sim *sim);

/* Frees what hangs on sim, which is the caller's. */
void sim_free(struct sim *sim);

/* Wall clock with the skew that was ordered for the connection. */
int64_t sim_wall_ms(const struct sim_conn *conn);

/* jwt.c */

/* Decodes and verifies `authorization`, header value as received. Never fails: see out->problem.
 * iat is not compared with the clock. */
void sim_jwt_verify(const struct sim *sim, const char *authorization, struct sim_jwt *out);

/* check.c */

/* Judges a complete request as APNs does: fills status, reason, and violation where it is bad. */
void sim_check(struct sim_request *request);

/* rules.c */

/* Adds a rule from the members of a JSON object (README). why gets a sentence. */
enum err sim_rule_add(struct sim *sim, const struct json_t *json, char *why, size_t why_size);

/* Applies the first rule that matches, if any, to a request that passed the check. */
void sim_rules_apply(struct sim_request *request, const char *token);

void sim_rules_clear(struct sim *sim);

const char *sim_action_name(enum sim_action action);

/* journal.c: one JSON line a request or event */

/* path "-" is stdout. */
enum err sim_journal_open(struct sim *sim, const char *path);
void sim_journal_close(struct sim_journal *journal);
void sim_journal_request(const struct sim_request *request, const char *token);

/* An event of a connection (conn may be NULL); detail and value are left out where NULL and -1. */
void sim_journal_event(struct sim *sim, const struct sim_conn *conn, const char *event,
	const char *detail, int64_t value);

/* Hands to the system what was written. Done before an answer leaves, so that who has the answer
 * finds the request in the log. */
void sim_journal_flush(struct sim *sim);

/* answer.c */

/* Decides the answer to a complete request and gives it, now or later. */
void sim_answer(struct sim_request *request);

/* Prepares the timer of the answers that are due later. */
void sim_answer_init(struct sim *sim);

/* command.c */

/* Runs a command of the control socket, a JSON object (README). Returns the answer without a line
 * end, for free(); NULL: out of memory. */
char *sim_command(struct sim *sim, const char *line, size_t len);

/* control.c: the socket */

enum err sim_control_open(struct sim *sim, const char *path);
void sim_control_close(struct sim_control *control);

#endif
