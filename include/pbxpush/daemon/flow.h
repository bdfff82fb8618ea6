/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_FLOW_H
#define PBXPUSH_DAEMON_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>
#include <pbxpush/core/options.h>
#include <pbxpush/core/ports.h>
#include <pbxpush/core/uuid.h>

struct directory;
struct metrics;
struct timeline;
struct zone;

/*
 * The call flow: from an event line to its reply. It owns the calls, decides, asks the transport to
 * push, and knows when each waiting client gets its answer. It sees the world through ports only,
 * so that tests run it on a fake transport and a fake clock. One thread.
 */
struct flow;

struct flow_ports {
	const struct transport *transport;
	struct hook_port hook; /* used only while the configuration has a [hook] url */
	struct directory *directory;
	struct metrics *metrics;
	struct timeline *timeline;
	uuid_sha1_fn *sha1;
	void (*random)(void *out, size_t len);
	/* time: monotonic microseconds and Unix milliseconds */
	void (*look_at_clock)(int64_t *mono_us, int64_t *wall_ms);
	/* A time zone by its name, NULL where there is none. Borrowed for the life of the flow. */
	const struct zone *(*zone)(void *self, const char *name);
	void *zone_self;
	/* flow_run_due() is wanted at this monotonic time; the last wish holds. */
	void (*wake)(void *self, int64_t due_us);
	void *wake_self;
};

/* Ports and config are borrowed for the life of the flow (config until flow_set_config()). */
enum err flow_new(const struct config *config, const struct flow_ports *ports, struct flow **out);

/* After a reload: the next event sees the new configuration. */
void flow_set_config(struct flow *flow, const struct config *config);

/* Where lines go. Lives as long as the flow. */
const struct event_sink *flow_sink(struct flow *flow);

/* Does what is due: deadlines, replies whose time is up, delayed pushes, calls to be forgotten. */
void flow_run_due(struct flow *flow);

/* Once in a while (some seconds): tells of calls that a do-not-disturb which is over kept
 * silent. */
void flow_tick(struct flow *flow);

/* The beginning of a drain. A front end that still reads gets no more than answers: a new call is
 * `unreachable` (rule `overloaded`), what is no call is refused. */
void flow_stop(struct flow *flow);

/* True while a push or a change of the directory has not ended: a drain waits for this. Clients
 * that wait for a REGISTER are not counted, since in a drain no REGISTER is heard any more. */
bool flow_is_busy(const struct flow *flow);

/* The end of a drain: every waiting client is answered with the call as it stands. */
void flow_release_all(struct flow *flow);

struct flow_stats {
	size_t ringing, answered, ended; /* called users by state */
	size_t waiting;                  /* clients that wait for a reply to a call */
	uint64_t events;                 /* lines taken so far */
	uint64_t pushes;                 /* pushes handed to the transport so far */
};

void flow_stats(const struct flow *flow, struct flow_stats *out);

/* `GET /calls`: a JSON object with the live calls and the newest of the ended ones, at most max. */
void flow_write_calls(const struct flow *flow, size_t max, struct buf *out);

/* Pushes must have ended or been withdrawn before (apns_free() does that). Accepts NULL. */
void flow_free(struct flow *flow);

#endif
