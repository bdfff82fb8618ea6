/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_WORLD_H
#define TESTS_FLOW_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include <pbxpush/core/options.h>
#include <pbxpush/core/ports.h>
#include <pbxpush/daemon/flow.h>
#include <pbxpush/daemon/zones.h>

#include "fake_hook.h"
#include "fake_replies.h"
#include "fake_transport.h"

#define WORLD_APP  "com.example.phone"
#define WORLD_TEAM "DEF123GHIJ"

/* A flow on fake ports, with a real directory in a temporary folder, real metrics and timelines. */
struct world {
	struct config *config; /* defaults, and the app WORLD_APP */
	struct fake_transport *transport;
	struct fake_replies *replies;
	struct fake_hook *hook;
	struct directory *directory;
	struct metrics *metrics;
	struct timeline *timeline;
	struct zones *zones;
	struct flow *flow;
	char folder[64];
	bool disk_full;
};

struct world *world_new(void);
void world_free(struct world *world);

/* Adds an app, or finds the one there is. */
struct config_app *world_app(struct world *world, const char *bundle_id);

/* Sets an option as the configuration file would; section "app" is WORLD_APP. */
void world_set(struct world *world, const char *section, const char *key, const char *value);

/* Lets every write to a file fail, or succeed again. */
void world_set_disk_full(struct world *world, bool full);

/* An event line, read now. */
void world_send(
	struct world *world, uint64_t client, enum client_role role, const char *line, size_t len);

/* The oldest reply to a client (0: to any), or NULL. The caller frees it. */
char *world_reply(struct world *world, uint64_t client);

/* The same, but waits for the disk where there is none yet. */
char *world_await_reply(struct world *world, uint64_t client);

#endif
