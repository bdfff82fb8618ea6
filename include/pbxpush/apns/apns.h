/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_APNS_APNS_H
#define PBXPUSH_APNS_APNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/ports.h>

struct event_base;

/*
 * The APNs sender: provider tokens, pools of HTTP/2 connections (a route is one environment, team
 * and key), the queue in front of the stream limit, retries that are safe. Implements the transport
 * port. Runs on the thread of its event_base; what may block (getaddrinfo, files) runs on workers
 * of its own.
 */
struct apns;

struct apns_options {
	const char *production, *sandbox; /* host:port, [v6]:port */
	const char *ca_file;              /* "" = the system's */
	const char *proxy;                /* http://[user:password@]host:port, "" = none */
	const char *state_dir; /* where signed provider tokens are kept (0600), "" = nowhere */
	int connections, max_connections; /* a route */
	int64_t connect_timeout_ms, response_timeout_ms, ping_interval_ms, ping_timeout_ms;
	size_t max_queued; /* pushes waiting or in flight; beyond it send() returns 0 */
};

struct apns_app {
	const char *bundle_id, *team_id, *key_id, *key_file;
	bool warm_production, warm_sandbox; /* keep connections open before the first push */
};

/* Told on the loop's thread, for log-independent figures. Any may be NULL. Strings are static. */
struct apns_observer {
	void *arg;
	void (*goaway)(void *arg, const char *reason);
	void (*retry)(void *arg, const char *reason);
};

/* Options and apps are copied. Starts connecting at once where an app says warm.
 * why receives a sentence on failure (which key file, what is wrong with it; never its content). */
enum err apns_new(struct event_base *base, const struct apns_options *options,
	const struct apns_app *apps, size_t app_count, const struct apns_observer *observer,
	struct apns **out, char *why, size_t why_size);

/* After a reload: new hosts, keys, limits. Old connections finish what they have and close; waiting
 * pushes move. On failure nothing has changed. Changed key files are read again even under the
 * same name. */
enum err apns_reconfigure(struct apns *apns, const struct apns_options *options,
	const struct apns_app *apps, size_t app_count, char *why, size_t why_size);

const struct transport *apns_transport(struct apns *apns);

/* Checks a .p8 file: readable, PKCS#8 PEM, EC on P-256. ERR_CRYPTO or ERR_IO with why. */
enum err apns_check_key(const char *path, char *why, size_t why_size);

/* Pushes that have not been answered, waiting ones included. */
size_t apns_pending(const struct apns *apns);

/* Calls every outstanding `done` (PUSH_NOT_SENT or PUSH_AMBIGUOUS, reason "connection"), closes.
 * Accepts NULL. */
void apns_free(struct apns *apns);

/* One route as the status shows it. Strings are borrowed for the callback. */
struct apns_route_stats {
	const char *team, *key;
	enum push_environment environment;
	const char *host;
	unsigned connecting, ready, draining; /* connections by state */
	unsigned streams;                     /* open now */
	unsigned stream_limit;                /* sum of what the peers allow */
	size_t queued;                        /* waiting for a stream */
	int64_t token_age_s;                  /* -1: none signed yet */
	/* monotonic: the last answer, or connection that was ready while no push was lost; 0 never */
	int64_t last_good_us;
	/* monotonic: the first push since then that found no connection or got no answer; 0 none */
	int64_t needed_since_us;
	const char *last_error; /* "" where there was none since the last good push */
	const char *alarm;      /* configuration fault that an administrator must mend, or "" */
};

void apns_each_route(
	const struct apns *apns, void (*fn)(void *arg, const struct apns_route_stats *), void *arg);

#endif
