/* SPDX-License-Identifier: MIT */
#ifndef APNS_DELIVERY_H
#define APNS_DELIVERY_H

#include <sys/queue.h>

#include <pbxpush/base/heap.h>
#include <pbxpush/base/map.h>
#include <pbxpush/core/ports.h>

#include <pbxpush/apns/session.h>

struct connection;
struct delivery;
struct route;

TAILQ_HEAD(delivery_list, delivery);

/* The pushes of one app that wait in a route. Routes serve their lanes in turn, so that a flood of
 * one app costs another at most one push's wait. */
struct lane {
	TAILQ_ENTRY(lane) link; /* in the route, while anything waits */
	struct delivery_list waiting;
	bool alarmed; /* the log knows of its alarm: no more until a push is good */
};

struct app {
	struct app *next;
	char *voip_topic, *bundle_id; /* bundle_id is a part of the same allocation */
	struct route *routes[2];      /* by environment */
	struct lane lanes[2];
	size_t pending; /* deliveries that hold a pointer here */
	bool removed;   /* by a reload: freed with its last delivery */
};

enum delivery_place {
	DELIVERY_NOWHERE, /* between two places, or waiting for its end only */
	DELIVERY_WAITING, /* in its app's lane */
	DELIVERY_LATER,   /* in its route's heap, until a pause is over */
	DELIVERY_FLYING,  /* handed to a connection */
};

/* One push on its way, from send() to done(). */
struct delivery {
	struct stream stream; /* while it flies */
	struct map_node by_ticket;
	struct heap_node by_deadline, by_due;
	TAILQ_ENTRY(delivery) waiting;
	struct ledger *ledger;
	struct app *app;
	struct connection *connection; /* while it flies */
	enum delivery_place place;
	enum push_environment environment;
	enum push_type type;
	uint64_t ticket;
	int64_t queued_us, written_us;
	push_done_fn *done;
	void *arg;
	/* what happened so far */
	int attempts, refusals, pauses;
	uint64_t avoid;            /* serial of the connection that failed it, 0 none */
	unsigned token_generation; /* of the provider token it went with */
	bool ambiguous;            /* an earlier attempt may have arrived */
	bool moved, renewed;       /* its one retry elsewhere, or with a new token, is spent */
	bool awaits_other;         /* while LATER: until another connection is ready */
	bool cancelled;            /* too late: no more attempts */
	bool shared;               /* counted against the part of the queue that all apps share */
	/* the last answer that said "try again"; status 0: none */
	struct push_result answer;
	/* the request */
	char apns_id[37], expiration[21], priority[4];
	const char *path, *collapse_id, *payload; /* in text */
	size_t payload_len;
	char text[];
};

/*
 * All deliveries of the sender: bounds, tickets, deadlines, and the one place where a delivery
 * ends.
 */
struct ledger {
	struct map by_ticket;
	struct heap deadlines;
	uint64_t last_ticket;
	size_t count, max, shared, app_share; /* app_share: what each app has for itself */
};

enum err ledger_init(struct ledger *ledger);
void ledger_free(struct ledger *ledger); /* frees its tables; no delivery is left */

/* Half of max is shared by all, the other half divided among the apps: one that floods leaves the
 * others their part. */
void ledger_set_bounds(struct ledger *ledger, size_t max, size_t app_count);

/* Copies the request. NULL when the bounds or memory forbid. */
struct delivery *ledger_open(struct ledger *ledger, struct app *app,
	const struct push_request *request, int64_t deadline_us, push_done_fn *done, void *arg);

struct delivery *ledger_find(const struct ledger *ledger, uint64_t ticket);

/* The delivery whose deadline comes first, or NULL. */
struct delivery *ledger_first_due(const struct ledger *ledger);

/* Makes the deadline now: the delivery ends soon, from the loop. */
void ledger_hurry(struct delivery *delivery);

/* Any one delivery, or NULL. */
struct delivery *ledger_any(const struct ledger *ledger);

/* Frees it without calling done. It must stand nowhere. */
void delivery_drop(struct delivery *delivery);

/* Frees it, then calls done. It must stand nowhere. status, reason and apns_id of the answer;
 * reason must be of the known set. */
void delivery_finish(struct delivery *delivery, const struct push_result *result);

/* Ends it without an answer: with the last "try again" there was, else as ambiguous or never
 * sent. */
void delivery_give_up(struct delivery *delivery, const char *reason);

/* NULL when memory is short. */
struct app *app_new(const char *bundle_id);

/* Frees it: now, or with its last delivery. */
void app_free(struct app *app);

/* Frees a removed app when its last delivery has left it. */
void app_release(struct app *app);

#endif
