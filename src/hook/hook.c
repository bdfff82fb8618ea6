/* SPDX-License-Identifier: MIT */
#include <pbxpush/hook/hook.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/heap.h>
#include <pbxpush/base/log.h>
#include <pbxpush/base/map.h>
#include <pbxpush/core/uuid.h>
#include <pbxpush/hook/retry.h>

#include "curl_loop.h"
#include "request.h"

#define QUEUE_MAX       10000
#define QUEUE_BYTES_MAX (16 << 20) /* a caller's name may be long */
#define UNDER_WAY_MAX   4
/* From the event on; one that is older is of no use any more. */
#define GIVE_UP_US      INT64_C(3600000000)
/* An application that fails now and then gets a line in the log for it no more often than this. */
#define TOLD_US         INT64_C(60000000)

enum receiver { RECEIVER_UNTRIED, RECEIVER_WORKS, RECEIVER_FAILS, RECEIVER_REFUSES };

struct delivery {
	struct heap_node due;      /* µs; while it waits */
	LIST_ENTRY(delivery) link; /* while it is under way */
	struct hook *hook;
	struct request *request; /* NULL while it waits */
	enum hook_event_type type;
	int tries;
	int64_t expires_us;
	char id[UUID_SIZE];
	size_t len;
	char body[];
};

struct hook {
	struct event_base *base;
	struct hook_observer observer;
	struct destination *destination;
	struct curl_loop *loop;
	struct event *timer;
	struct heap waiting;
	LIST_HEAD(, delivery) under_way;
	size_t under_way_count, bytes;
	struct buf text; /* scratch */

	enum receiver state;
	enum receiver told;       /* the state that the log knows */
	enum receiver told_fault; /* the last fault that it was told of, at told_us */
	int64_t told_us;
	bool told_loss; /* in this outage */
	int64_t fails_since_us;
	int64_t gate_us;      /* while it fails: not before this */
	uint64_t lost_before; /* dropped and expired before it failed */
	char last_error[256];
	uint64_t delivered, refused, expired, dropped;
};

static size_t queued(const struct hook *hook)
{
	return hook->waiting.count + hook->under_way_count;
}

static uint64_t lost(const struct hook *hook)
{
	return hook->dropped + hook->expired;
}

static void count(struct hook *hook, enum hook_event_type type, const char *outcome)
{
	hook->observer.outcome(hook->observer.arg, type, outcome);
}

static void delivery_free(struct delivery *delivery)
{
	request_free(delivery->request);
	delivery->hook->bytes -= delivery->len;
	free(delivery);
}

/* ---- how the receiver does ---- */

static const char *receiver_name(enum receiver state)
{
	switch (state) {
	case RECEIVER_UNTRIED:
		return "untried";
	case RECEIVER_WORKS:
		return "works";
	case RECEIVER_FAILS:
		return "fails";
	case RECEIVER_REFUSES:
		return "refuses";
	}
	return "";
}

/* A line for each change, and not for each delivery. */
static void tell_state(struct hook *hook, int64_t now_us)
{
	bool fault = hook->state == RECEIVER_FAILS || hook->state == RECEIVER_REFUSES;

	if (hook->state == hook->told)
		return;
	if (fault && hook->state == hook->told_fault && now_us - hook->told_us < TOLD_US)
		return;
	if (fault) {
		hook->told_fault = hook->state;
		hook->told_us = now_us;
	}
	if (hook->state == RECEIVER_FAILS)
		log_warning("hook", "%s -> fails: %s; tried again, queued=%zu",
			receiver_name(hook->told), hook->last_error, queued(hook));
	else if (fault)
		log_warning("hook", "%s -> refuses: %s; not tried again", receiver_name(hook->told),
			hook->last_error);
	else
		log_notice("hook", "%s -> works: after_s=%lld queued=%zu lost=%llu",
			receiver_name(hook->told),
			(long long)(hook->fails_since_us ? now_us - hook->fails_since_us : 0) /
				1000000,
			queued(hook), (unsigned long long)(lost(hook) - hook->lost_before));
	hook->told = hook->state;
}

static void receiver_enter(struct hook *hook, enum receiver state, int64_t now_us)
{
	if (state == RECEIVER_FAILS && hook->state != state) {
		hook->fails_since_us = now_us;
		hook->lost_before = lost(hook);
	}
	hook->state = state;
	if (state == RECEIVER_WORKS) {
		hook->last_error[0] = '\0';
		hook->told_loss &= queued(hook) > QUEUE_MAX / 2;
	}
	tell_state(hook, now_us);
	if (state != RECEIVER_FAILS) {
		hook->fails_since_us = 0;
		hook->gate_us = 0;
	}
}

/* An event is lost. The metric has each, the log the first of an outage. */
static void lose(struct hook *hook, enum hook_event_type type, const char *outcome, const char *why)
{
	if (!hook->told_loss)
		log_warning("hook", "%s: events are lost, this %s the first", why,
			hook_event_name(type));
	hook->told_loss = true;
	count(hook, type, outcome);
}

/* ---- one delivery ---- */

static void pump(struct hook *hook);

static void drop(struct hook *hook, enum hook_event_type type, const char *why)
{
	hook->dropped++;
	lose(hook, type, "dropped", why);
}

static void wait_until(struct hook *hook, int64_t due_us)
{
	int64_t delay_us = due_us - clock_mono_us();
	struct timeval delay = {0};

	if (delay_us > 0)
		delay = (struct timeval){
			.tv_sec = delay_us / 1000000, .tv_usec = (suseconds_t)(delay_us % 1000000)};
	event_add(hook->timer, &delay);
}

/* It is under way no longer; the caller says where it goes. */
static void take_back(struct hook *hook, struct delivery *delivery)
{
	LIST_REMOVE(delivery, link);
	hook->under_way_count--;
	request_free(delivery->request);
	delivery->request = NULL;
}

static void put_back(struct hook *hook, struct delivery *delivery, int64_t due_us)
{
	if (due_us > delivery->expires_us)
		due_us = delivery->expires_us;
	if (!heap_set(&hook->waiting, &delivery->due, due_us))
		return;
	drop(hook, delivery->type, "out of memory");
	delivery_free(delivery);
}

static void note_error(
	struct hook *hook, const struct delivery *delivery, int status, CURLcode code)
{
	const struct request *request = delivery->request;

	if (!status)
		snprintf(hook->last_error, sizeof(hook->last_error), "%s",
			request->why[0] ? request->why : curl_easy_strerror(code));
	else
		snprintf(hook->last_error, sizeof(hook->last_error), "status %d%s to %s %s", status,
			status == 401 || status == 403  ? " (token refused)"
			: status >= 300 && status < 400 ? " (redirects are not followed)"
							: "",
			hook_event_name(delivery->type), delivery->id);
}

static void try_again(struct hook *hook, struct delivery *delivery, int64_t now_us)
{
	int64_t asked_s = request_retry_after_s(delivery->request);
	int64_t due_us = now_us + 1000 * hook_backoff_ms(delivery->tries, asked_s, arc4random());

	count(hook, delivery->type, "retried");
	/* The others wait for a second, too, or for as long as the receiver asked. */
	hook->gate_us = now_us + 1000 * hook_backoff_ms(1, asked_s, arc4random());
	receiver_enter(hook, RECEIVER_FAILS, now_us);
	take_back(hook, delivery);
	put_back(hook, delivery, due_us);
}

static void on_done(void *arg, CURLcode code)
{
	struct delivery *delivery = arg;
	struct hook *hook = delivery->hook;
	int64_t now_us = clock_mono_us();
	int status = request_status(delivery->request);
	enum hook_answer answer = hook_judge(status);

	log_debug("hook", "event=%s id=%s tries=%d status=%d", hook_event_name(delivery->type),
		delivery->id, delivery->tries, status);
	if (answer != HOOK_TAKEN)
		note_error(hook, delivery, status, code);
	if (answer == HOOK_AGAIN) {
		try_again(hook, delivery, now_us);
	} else {
		bool taken = answer == HOOK_TAKEN;

		hook->delivered += taken;
		hook->refused += !taken;
		count(hook, delivery->type, taken ? "delivered" : "refused");
		take_back(hook, delivery);
		delivery_free(delivery);
		receiver_enter(hook, taken ? RECEIVER_WORKS : RECEIVER_REFUSES, now_us);
	}
	pump(hook);
}

/* It waits no longer. */
static void start(struct hook *hook, struct delivery *delivery, int64_t now_us)
{
	heap_remove(&hook->waiting, &delivery->due);
	if (now_us >= delivery->expires_us) {
		hook->expired++;
		lose(hook, delivery->type, "expired", "not taken within an hour");
		delivery_free(delivery);
		return;
	}
	delivery->tries++;
	if (!request_new(hook->destination, delivery->id, delivery->body, delivery->len, delivery,
		    &delivery->request)) {
		if (!curl_loop_add(hook->loop, delivery->request->easy)) {
			LIST_INSERT_HEAD(&hook->under_way, delivery, link);
			hook->under_way_count++;
			return;
		}
		request_free(delivery->request);
		delivery->request = NULL;
	}
	put_back(hook, delivery, now_us + 1000 * HOOK_BACKOFF_FIRST_MS); /* no memory */
}

/* Starts what may start, and asks to be called when the next may. */
static void pump(struct hook *hook)
{
	int64_t now_us = clock_mono_us();
	struct heap_node *node;

	while ((node = heap_first(&hook->waiting))) {
		bool fails = hook->state == RECEIVER_FAILS;
		int64_t due_us = node->due > hook->gate_us ? node->due : hook->gate_us;

		if (hook->under_way_count >= (fails ? 1 : UNDER_WAY_MAX))
			return; /* the end of one of them calls again */
		if (due_us > now_us) {
			wait_until(hook, due_us);
			return;
		}
		start(hook, map_entry(node, struct delivery, due), now_us);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	pump(arg);
}

/* ---- what the others call ---- */

void hook_post(struct hook *hook, const struct hook_event *event)
{
	struct delivery *delivery;
	char id[UUID_SIZE];
	uint8_t random[16];

	arc4random_buf(random, sizeof(random));
	uuid_random(random, id);
	buf_reset(&hook->text);
	hook_event_write(event, id, &hook->text);
	if (queued(hook) >= QUEUE_MAX || hook->bytes + hook->text.len > QUEUE_BYTES_MAX) {
		drop(hook, event->type, "queue full");
		return;
	}
	delivery = hook->text.failed ? NULL : calloc(1, sizeof(*delivery) + hook->text.len);
	if (!delivery) {
		drop(hook, event->type, "out of memory");
		return;
	}
	delivery->hook = hook;
	delivery->type = event->type;
	delivery->expires_us = clock_mono_us() + GIVE_UP_US;
	strcpy(delivery->id, id);
	memcpy(delivery->body, hook->text.data, hook->text.len);
	delivery->len = hook->text.len;
	hook->bytes += delivery->len;
	put_back(hook, delivery, clock_mono_us());
	wait_until(hook, 0); /* not from in here: a call is being handled */
}

void hook_stats(const struct hook *hook, struct hook_stats *out)
{
	*out = (struct hook_stats){.state = receiver_name(hook->state),
		.last_error = hook->last_error,
		.queued = queued(hook),
		.delivered = hook->delivered,
		.refused = hook->refused,
		.expired = hook->expired,
		.dropped = hook->dropped};
}

/* Takes back what is under way: the receiver may see it twice, under the same id. */
static void recall_all(struct hook *hook)
{
	struct delivery *delivery;

	while ((delivery = LIST_FIRST(&hook->under_way))) {
		curl_loop_remove(hook->loop, delivery->request->easy);
		take_back(hook, delivery);
		put_back(hook, delivery, 0);
	}
}

enum err hook_reconfigure(struct hook *hook, const struct hook_options *options)
{
	struct destination *destination = NULL;
	struct curl_loop *loop = NULL;
	enum err err = destination_new(options, &destination);

	if (!err)
		err = curl_loop_new(hook->base, UNDER_WAY_MAX, on_done, &loop);
	if (err) {
		destination_free(destination);
		return err;
	}
	if (hook->loop) /* a new one has no connections that the old options allowed */
		recall_all(hook);
	curl_loop_free(hook->loop);
	destination_free(hook->destination);
	hook->loop = loop;
	hook->destination = destination;
	/* Whatever was wrong may be right now. Each node moves up only, past those seen. */
	for (size_t i = 1; i <= hook->waiting.count; i++)
		heap_set(&hook->waiting, hook->waiting.nodes[i].node, 0);
	hook->state = RECEIVER_UNTRIED;
	hook->told = RECEIVER_UNTRIED;
	hook->told_fault = RECEIVER_UNTRIED;
	hook->gate_us = 0;
	wait_until(hook, 0);
	return ERR_OK;
}

enum err hook_new(struct event_base *base, const struct hook_options *options,
	const struct hook_observer *observer, struct hook **out)
{
	struct hook *hook;
	char why[256]; /* hook_check_url() has loaded it, and would have said so */
	enum err err = curl_library_load(why, sizeof(why));

	if (err)
		return err;
	hook = calloc(1, sizeof(*hook));
	if (!hook)
		return ERR_NOMEM;
	err = ERR_NOMEM;
	hook->base = base;
	hook->observer = *observer;
	LIST_INIT(&hook->under_way);
	hook->timer = evtimer_new(base, on_timer, hook);
	if (hook->timer)
		err = hook_reconfigure(hook, options);
	if (err)
		hook_free(hook);
	else
		*out = hook;
	return err;
}

void hook_free(struct hook *hook)
{
	struct heap_node *node;

	if (!hook)
		return;
	if (queued(hook))
		log_warning("hook", "%zu events were not delivered and are lost", queued(hook));
	if (hook->loop)
		recall_all(hook);
	while ((node = heap_first(&hook->waiting))) {
		heap_remove(&hook->waiting, node);
		delivery_free(map_entry(node, struct delivery, due));
	}
	heap_free(&hook->waiting);
	curl_loop_free(hook->loop);
	destination_free(hook->destination);
	if (hook->timer)
		event_free(hook->timer);
	buf_free(&hook->text);
	free(hook);
}
