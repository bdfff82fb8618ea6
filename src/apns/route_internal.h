/* SPDX-License-Identifier: MIT */
#ifndef APNS_ROUTE_INTERNAL_H
#define APNS_ROUTE_INTERNAL_H

#include <event2/event.h>

#include "connection.h"
#include "resolver.h"
#include "route.h"

#define CONNECTIONS_MAX 64 /* of a route, draining ones included */

#define BAD_ADDRESSES 16 /* remembered at once; the one that failed longest ago goes first */
#define DEVICE_PAUSES 64 /* remembered at once; the oldest goes first */

TAILQ_HEAD(lane_list, lane);

/* A device that APNs asked to leave alone (429). */
struct device_pause {
	uint64_t device; /* hash of its path: a stranger with the same one waits a little, too */
	int64_t until_us;
};

/* Shared by route.c (life, queue), pool.c (connections) and answer.c (what comes back). */
struct route {
	char name[64]; /* TEAM/KEY/environment, for the log */
	struct event_base *base;
	struct provider_token *token;
	enum push_environment environment;
	struct route_options options;
	struct route_owner owner;
	struct resolver *resolver;
	struct tls_memory tls_memory;
	struct event *timer;
	struct event *soon; /* to be activated; the timer loses that when it is set anew */
	bool wanted;        /* connections are to be kept open */
	bool ending;        /* no new ones */

	struct lane_list lanes; /* those where something waits */
	size_t waiting;
	struct heap later;
	struct device_pause pauses[DEVICE_PAUSES];
	size_t next_pause;
	int64_t pauses_end_us; /* when the last of them is over */

	struct connection *connections[CONNECTIONS_MAX];
	size_t connection_count;
	uint64_t last_serial;
	int failures;           /* in a row, without a good push on a newer connection */
	uint64_t failed_serial; /* of the last connection that failed */
	int64_t retry_us;       /* monotonic: no new connection before */
	int64_t grow_us;        /* monotonic: when waiting pushes justify one more; 0: none wait */
	bool other_wanted;      /* a push waits for another connection than the one it was on */
	struct sockaddr_storage
		bad[BAD_ADDRESSES]; /* failed, and did not work since; newest last */
	size_t bad_count;

	const char *fault_reason; /* of the last failure to connect; static */
	char last_error[160];
	/* What an administrator must mend. It is over with a good push (of the lane, where only that
	 * app is concerned), or, where it kept us from connecting, with a connection. */
	char alarm[160];
	const struct lane *alarm_lane;
	bool alarm_is_connect;
	bool lost;     /* a push was given up without an answer, and none was answered since */
	char odd[64];  /* the last answer that was not understood */
	char skew[64]; /* our clock is wrong, in words; "" where it is not */
	int64_t last_good_us, needed_since_us;
};

/* ---- pool.c ---- */

/* Opens what is missing, and one more where pushes have waited for room. */
void pool_fill(struct route *route, int64_t now_us);

/* When pool_fill() should be called again, INT64_MAX: only after an event. */
int64_t pool_due_us(const struct route *route);

/* True when another connection than this one could take the delivery now. */
bool pool_has_other(const struct route *route, const struct connection *connection,
	const struct delivery *delivery);

/* The connection for this delivery, or NULL when none has room. */
struct connection *pool_pick(const struct route *route, const struct delivery *delivery);

/* Frees the dead. Not from inside a connection's callbacks. */
void pool_reap(struct route *route);

unsigned pool_count(const struct route *route, enum connection_state state);

/* A good push was answered: failures before this connection do not count any more. */
void pool_is_good(struct route *route, const struct connection *connection);

/* ---- route.c ---- */

/* For jitter. */
uint32_t route_random(void);

/* Other pushes to the delivery's device wait so long, too. */
void route_pause_device(struct route *route, const struct delivery *delivery, int64_t pause_ms);

/* Puts a delivery aside until another connection is ready than those there are, at most so long. */
void route_await_other(struct route *route, struct delivery *delivery, int64_t pause_ms);

void route_clear_alarm(struct route *route);

/* A connection has become ready. */
void route_wake_awaiting(struct route *route);

/* ---- answer.c ---- */

/* A stream ended: finishes its delivery, or sends it again. */
void answer_take(struct route *route, struct connection *connection, struct delivery *delivery);

#endif
