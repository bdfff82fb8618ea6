/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_APNS_WORLD_H
#define TESTS_UNIT_APNS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <signal.h>

#include <pbxpush/apns/apns.h>
#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>

#include "apns_peer.h"

/* A sender and the peer it talks to, in one event loop and one temporary directory. */
#define RESULTS_MAX 2048
#define PATIENCE_MS 20000 /* a test that waits longer has failed */

struct slot {
	struct world *world;
	int number;
};

struct world {
	struct slot slots[RESULTS_MAX]; /* done()'s argument */
	struct event_base *base;
	struct peer peer;
	struct apns *apns;
	const struct transport *transport;
	char dir[64], ca_file[96], key_file[96], other_key_file[96];
	char host[64];
	struct apns_options options;
	struct apns_app apps[2];
	size_t app_count;
	struct apns_observer observer;
	struct push_result results[RESULTS_MAX]; /* by number of the push */
	bool told[RESULTS_MAX];
	int sent, done;
	bool sending;
	int goaways, retries;
	char retry_reason[40], goaway_reason[40];
	X509 *cert;
	EVP_PKEY *cert_key;
};

static inline void world_write_key(const char *path)
{
	FILE *file = fopen(path, "w");
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert_non_null(file);
	assert_int_equal(PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	EVP_PKEY_free(key);
}

static inline void world_use_certificate(struct world *world, const char *names, long days)
{
	X509_free(world->cert);
	EVP_PKEY_free(world->cert_key);
	world->cert = peer_certificate(names, days, &world->cert_key);
	peer_use_certificate(&world->peer, world->cert, world->cert_key);
	FILE *file = fopen(world->ca_file, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, world->cert), 1);
	fclose(file);
}

static inline void world_on_goaway(void *arg, const char *reason)
{
	struct world *world = arg;

	world->goaways++;
	snprintf(world->goaway_reason, sizeof(world->goaway_reason), "%s", reason);
}

static inline void world_on_retry(void *arg, const char *reason)
{
	struct world *world = arg;

	world->retries++;
	snprintf(world->retry_reason, sizeof(world->retry_reason), "%s", reason);
}

static inline int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	signal(SIGPIPE, SIG_IGN);
	log_set_level(getenv("APNS_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	strcpy(world->dir, "/tmp/pbxpush-apns-XXXXXX");
	assert_non_null(mkdtemp(world->dir));
	snprintf(world->ca_file, sizeof(world->ca_file), "%s/ca.pem", world->dir);
	snprintf(world->key_file, sizeof(world->key_file), "%s/a.p8", world->dir);
	snprintf(world->other_key_file, sizeof(world->other_key_file), "%s/b.p8", world->dir);
	world_write_key(world->key_file);
	world_write_key(world->other_key_file);
	/* Deadlines to the millisecond, as the daemon asks for. */
	struct event_config *config = event_config_new();
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	world->base = event_base_new_with_config(config);
	event_config_free(config);
	peer_start(&world->peer, world->base);
	world_use_certificate(world, "DNS:localhost,IP:127.0.0.1", 1);
	snprintf(world->host, sizeof(world->host), "127.0.0.1:%d", world->peer.port);
	world->options = (struct apns_options){
		.production = world->host,
		.sandbox = world->host,
		.ca_file = world->ca_file,
		.proxy = "",
		.state_dir = "",
		.connections = 1,
		.max_connections = 1,
		.connect_timeout_ms = 2000,
		.response_timeout_ms = 2000,
		.ping_interval_ms = 60000,
		.ping_timeout_ms = 1000,
		.max_queued = 5000,
	};
	world->app_count = 2;
	for (size_t i = 0; i < 2; i++) {
		world->apps[i] = (struct apns_app){
			.bundle_id = i ? "com.example.desk" : "com.example.phone",
			.team_id = "DEF123GHIJ",
			.key_id = "ABC123DEFG",
			.key_file = world->key_file,
		};
	}
	world->observer = (struct apns_observer){
		.arg = world, .goaway = world_on_goaway, .retry = world_on_retry};
	*state = world;
	return 0;
}

static inline int world_teardown(void **state)
{
	struct world *world = *state;
	char command[96];

	apns_free(world->apns);
	peer_stop(&world->peer);
	X509_free(world->cert);
	EVP_PKEY_free(world->cert_key);
	event_base_free(world->base);
	snprintf(command, sizeof(command), "rm -r '%s'", world->dir);
	assert_int_equal(system(command), 0);
	free(world);
	return 0;
}

static inline void world_start(
	struct world *world, void (*script)(struct peer *, struct peer_request *))
{
	char why[256] = "";

	world->peer.script = script;
	if (apns_new(world->base, &world->options, world->apps, world->app_count, &world->observer,
		    &world->apns, why, sizeof(why)))
		fail_msg("%s", why);
	world->transport = apns_transport(world->apns);
}

static inline void world_done(void *arg, const struct push_result *result)
{
	struct slot *slot = arg;
	struct world *world = slot->world;

	assert_false(world->sending);            /* never from inside send() */
	assert_false(world->told[slot->number]); /* and once */
	world->told[slot->number] = true;
	world->results[slot->number] = *result;
	world->done++;
}

/* Sends push number `n` (its token ends in it) of an app; the ticket. */
static inline uint64_t world_send_payload(
	struct world *world, size_t app, int64_t deadline_ms, const char *payload, size_t len)
{
	struct push_request request = {
		.type = PUSH_VOIP,
		.environment = PUSH_PRODUCTION,
		.priority = 10,
		.app = world->apps[app].bundle_id,
		.payload = payload,
		.payload_len = len,
	};
	char token[65];

	assert_true(world->sent < RESULTS_MAX);
	struct slot *slot = &world->slots[world->sent];
	*slot = (struct slot){.world = world, .number = world->sent};
	snprintf(token, sizeof(token), "%064x", (unsigned)world->sent);
	request.token = token;
	snprintf(request.apns_id, sizeof(request.apns_id), "00000000-0000-4000-8000-%012x",
		(unsigned)world->sent);
	world->sending = true;
	uint64_t ticket = world->transport->send(world->transport->self, &request,
		clock_mono_us() + deadline_ms * 1000, world_done, slot);
	world->sending = false;
	if (ticket)
		world->sent++;
	return ticket;
}

static inline uint64_t world_send_app(struct world *world, size_t app, int64_t deadline_ms)
{
	return world_send_payload(world, app, deadline_ms, "{\"aps\":{},\"v\":1}", 16);
}

/* The largest payload there is. */
static inline uint64_t world_send_large(struct world *world)
{
	static char payload[PUSH_VOIP_MAX_BYTES];

	memset(payload, 'x', sizeof(payload));
	return world_send_payload(world, 0, PATIENCE_MS, payload, sizeof(payload));
}

static inline uint64_t world_send(struct world *world)
{
	return world_send_app(world, 0, PATIENCE_MS);
}

static inline enum cancel_result world_cancel(struct world *world, uint64_t ticket)
{
	return world->transport->cancel(world->transport->self, ticket);
}

/* Runs the loop until the condition holds. */
#define WORLD_UNTIL(world, condition)                                                              \
	do {                                                                                       \
		int64_t end_us = clock_mono_us() + PATIENCE_MS * 1000;                             \
		while (!(condition)) {                                                             \
			if (clock_mono_us() > end_us)                                              \
				fail_msg("waited in vain for " #condition);                        \
			event_base_loop((world)->base, EVLOOP_ONCE);                               \
		}                                                                                  \
	} while (0)

static inline void world_finish(struct world *world)
{
	WORLD_UNTIL(world, world->done == world->sent);
}

static inline void world_copy_stats(void *arg, const struct apns_route_stats *stats)
{
	struct apns_route_stats *out = arg;

	if (stats->environment == PUSH_PRODUCTION)
		*out = *stats;
}

/* Of the production route. */
static inline struct apns_route_stats world_stats(struct world *world)
{
	struct apns_route_stats stats = {.host = NULL};

	apns_each_route(world->apns, world_copy_stats, &stats);
	return stats;
}

static inline void world_expect(
	struct world *world, int number, enum push_class class, int status, const char *reason)
{
	const struct push_result *result = &world->results[number];

	if (result->class != class || result->status != status ||
		strcmp(result->reason, reason) != 0)
		fail_msg("push %d: class %d status %d reason %s attempts %d, not %d %d %s", number,
			result->class, result->status, result->reason, result->attempts, class,
			status, reason);
}

/* The sender's end of its first connection to the peer. */
static inline int world_socket(const struct world *world)
{
	for (int fd = 0; fd < 256; fd++) {
		struct sockaddr_in address = {.sin_family = AF_UNSPEC};
		socklen_t len = sizeof(address);
		if (getpeername(fd, (struct sockaddr *)&address, &len) == 0 &&
			address.sin_family == AF_INET &&
			ntohs(address.sin_port) == world->peer.port)
			return fd;
	}
	fail_msg("not connected");
	return -1;
}

#endif
