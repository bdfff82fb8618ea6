/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>
#include <pbxpush/core/outcome.h>
#include <pbxpush/core/uuid.h>

#include "route_internal.h"

#define BAD_IN_ROW_MAX   3 /* 5xx or timeouts: then the connection is to blame */
#define FREE_REFUSALS    3 /* sent again at once; then with a pause, or it were a hot loop */
#define REFUSED_PAUSE_MS 50
#define REFUSED_CAP_MS   1000
#define OTHER_WAIT_MS    1000 /* for another connection, after a 5xx; or half of what is left */
#define PAUSE_BASE_MS    1000 /* 429 without Retry-After */
#define PAUSE_CAP_MS     8000
#define PAUSE_MIN_MS     200
#define SKEW_MAX_S       120
#define ODD_SHOWN        40

/* The delivery's own route: another one where a reload moved its app meanwhile. */
static struct route *delivery_route(struct route *route, const struct delivery *delivery)
{
	struct route *now = delivery->app->routes[delivery->environment];

	return now ? now : route;
}

/* ---- again ---- */

static bool may_go_again(struct route *route, const struct delivery *delivery)
{
	return !delivery->cancelled && !delivery->app->removed &&
	       !delivery_route(route, delivery)->ending;
}

static void send_again(struct route *route, struct delivery *delivery, const char *reason)
{
	const struct apns_observer *observer = route->owner.observer;

	if (observer->retry)
		observer->retry(observer->arg, reason);
	route_enqueue(delivery_route(route, delivery), delivery, true);
}

/* Waits, or gives up at once where the deadline comes first: the PBX should know early. reason: for
 * the metric; loss: what the caller hears where there was no answer. */
static void send_later(struct route *route, struct delivery *delivery, const char *reason,
	const char *loss, int64_t pause_ms)
{
	const struct apns_observer *observer = route->owner.observer;

	if (clock_mono_us() + pause_ms * 1000 >= delivery->by_deadline.due) {
		delivery_give_up(delivery, loss);
		return;
	}
	if (observer->retry)
		observer->retry(observer->arg, reason);
	route_defer(delivery_route(route, delivery), delivery, pause_ms);
}

/* ---- no answer ---- */

static const char *loss_reason(const struct connection *connection, const struct stream *stream)
{
	if (stream->timed_out)
		return "timeout";
	return connection_fault_reason(connection_fault(connection));
}

static void on_unprocessed(
	struct route *route, const struct connection *connection, struct delivery *delivery)
{
	const char *loss = loss_reason(connection, &delivery->stream);
	const char *reason = loss;

	if (!may_go_again(route, delivery)) {
		delivery_give_up(delivery, loss);
		return;
	}
	if (connection_fault(connection) == FAULT_GOAWAY)
		reason = "goaway";
	else if (connection_state(connection) == CONNECTION_READY && !delivery->stream.timed_out)
		reason = "refused";
	if (delivery->refusals++ < FREE_REFUSALS)
		send_again(route, delivery, reason);
	else
		send_later(route, delivery, reason, loss,
			retry_backoff_ms(delivery->refusals - FREE_REFUSALS, REFUSED_PAUSE_MS,
				REFUSED_CAP_MS, route_random()));
}

/* It may have arrived. Once more with the same apns-id and uuid: the app knows a call that it
 * has. */
static void on_ambiguous(
	struct route *route, const struct connection *connection, struct delivery *delivery)
{
	const char *reason = loss_reason(connection, &delivery->stream);
	bool first = !delivery->ambiguous;

	delivery->ambiguous = true;
	if (first && may_go_again(route, delivery)) {
		send_again(route, delivery, "ambiguous");
		return;
	}
	if (!delivery->cancelled)
		route_note_loss(route);
	delivery_give_up(delivery, reason);
}

/* ---- answers ---- */

static int64_t pause_ms(const struct delivery *delivery)
{
	int64_t pause_ms =
		retry_backoff_ms(delivery->pauses, PAUSE_BASE_MS, PAUSE_CAP_MS, route_random());

	if (delivery->stream.retry_after_s >= 0)
		pause_ms = delivery->stream.retry_after_s * INT64_C(1000);
	return pause_ms < PAUSE_MIN_MS ? PAUSE_MIN_MS : pause_ms;
}

/* Once with another provider token, where there is one. */
static bool answer_renew(struct route *route, struct delivery *delivery, bool expired)
{
	delivery->renewed = true;
	return route->owner.token_refused(
		route->owner.arg, route->token, delivery->token_generation, expired);
}

/* On another connection, which may have to be opened first. */
static void send_elsewhere(struct route *route, const struct connection *connection,
	struct delivery *delivery, const char *reason)
{
	const struct apns_observer *observer = route->owner.observer;
	struct route *to = delivery_route(route, delivery);
	int64_t left_ms = (delivery->by_deadline.due - clock_mono_us()) / 1000;

	if (pool_has_other(to, connection, delivery) || left_ms <= 0) {
		send_again(route, delivery, reason);
		return;
	}
	if (observer->retry)
		observer->retry(observer->arg, reason);
	route_await_other(to, delivery, left_ms / 2 < OTHER_WAIT_MS ? left_ms / 2 : OTHER_WAIT_MS);
}

/* True when the delivery is on its way again. */
static bool answer_retry(struct route *route, struct connection *connection,
	struct delivery *delivery, const struct outcome *outcome)
{
	bool renewed;
	int64_t pause;

	switch (outcome->retry) {
	case RETRY_NO:
		if (strcmp(outcome->reason, "InvalidProviderToken") != 0 || delivery->renewed)
			return false;
		if (delivery_route(route, delivery) != route) /* its app has another key by now */
			delivery->renewed = true;
		else if (!answer_renew(route, delivery, false))
			return false;
		break;
	case RETRY_OTHER_CONNECTION:
		if (delivery->moved)
			return false;
		delivery->moved = true;
		send_elsewhere(route, connection, delivery, outcome->reason);
		return true;
	case RETRY_NEW_TOKEN:
		renewed = delivery->renewed;
		/* Apple has been seen to cling to the old token on one connection: where a new one
		 * is not to be had, or has not helped, another connection may. */
		if (renewed || !answer_renew(route, delivery, true))
			connection_retire(connection, FAULT_ANSWERS, outcome->reason);
		if (renewed)
			return false;
		break;
	case RETRY_SAME_TOKEN_LATER:
	case RETRY_DEVICE_LATER:
		pause = pause_ms(delivery);
		if (outcome->retry == RETRY_DEVICE_LATER)
			route_pause_device(delivery_route(route, delivery), delivery,
				pause < PAUSE_CAP_MS ? pause : PAUSE_CAP_MS);
		delivery->pauses++;
		send_later(route, delivery, outcome->reason, outcome->reason, pause);
		return true;
	}
	send_again(route, delivery, outcome->reason);
	return true;
}

/* Some answers condemn the connection they came on. */
static void answer_judge_connection(
	struct connection *connection, const struct stream *stream, const struct outcome *outcome)
{
	static const char *const LEAVE[] = {"IdleTimeout", "Shutdown", "UnrelatedKeyIdInToken"};
	struct connection_record *record = connection_record(connection);

	record->answered = true;
	record->bad_in_row = stream->status >= 500 ? record->bad_in_row + 1 : 0;
	for (size_t i = 0; i < sizeof(LEAVE) / sizeof(LEAVE[0]); i++)
		if (strcmp(outcome->reason, LEAVE[i]) == 0)
			connection_retire(connection, FAULT_ANSWERS, outcome->reason);
	if (record->bad_in_row >= BAD_IN_ROW_MAX)
		connection_retire(connection, FAULT_ANSWERS, "one server error after another");
}

/* A refusal that is not on Apple's list. */
static bool is_odd(const struct outcome *outcome)
{
	return outcome->class != PUSH_ACCEPTED &&
	       (!*outcome->reason || strcmp(outcome->reason, "other") == 0);
}

/* How such an answer begins is shown, once; too little of it to hold a token. An alarm is logged
 * as one. */
static void answer_note_odd(struct route *route, const struct stream *stream, bool alarm)
{
	char text[sizeof(route->odd)];
	size_t shown = stream->body_len < ODD_SHOWN ? stream->body_len : ODD_SHOWN;
	int at = snprintf(text, sizeof(text), "%d ", stream->status);

	for (size_t i = 0; i < shown; i++) {
		char c = stream->body[i];
		if (c == '"')
			c = '\'';
		text[at++] = c >= ' ' && c < 0x7f && c != '\\' ? c : '.';
	}
	text[at] = '\0';
	if (strcmp(text, route->odd) == 0)
		return;
	memcpy(route->odd, text, (size_t)at + 1);
	if (!alarm)
		log_warning("apns", "route=%s answer not understood: \"%s\"", route->name, text);
}

/* Topics are an app's; what else is wrong is wrong for all that share the key. */
static struct lane *lane_concerned(
	struct route *route, const struct delivery *delivery, const char *reason)
{
	return strstr(reason, "Topic") ? &delivery->app->lanes[route->environment] : NULL;
}

static void route_raise_alarm(
	struct route *route, const struct delivery *delivery, const char *reason)
{
	struct lane *lane = lane_concerned(route, delivery, reason);
	bool known = lane ? lane->alarmed
			  : *route->alarm && !strncmp(route->alarm, reason, strlen(reason));

	if (known && *route->alarm)
		return;
	route_clear_alarm(route);
	snprintf(route->alarm, sizeof(route->alarm), "%s%s%s%s%s", reason, lane ? " app=" : "",
		lane ? delivery->app->bundle_id : "", *route->skew ? "; " : "", route->skew);
	route->alarm_lane = lane;
	if (!known)
		log_error("apns", "route=%s alarm=\"%s\"", route->name, route->alarm);
	if (lane)
		lane->alarmed = true;
}

static void on_good(
	struct route *route, const struct connection *connection, const struct delivery *delivery)
{
	struct lane *lane = &delivery->app->lanes[route->environment];

	if (route->alarm_lane == lane)
		route_clear_alarm(route);
	lane->alarmed = false;
	pool_is_good(route, connection);
}

/* The `date` header: at the first answer of a connection, when APNs minds the token's age, and
 * while the clock is known to be wrong. */
static void answer_check_clock(struct route *route, struct connection *connection, int status)
{
	bool known = *route->skew;

	if (connection_record(connection)->answered && status != 403 && !known)
		return;
	int64_t date_s = connection_date_s(connection);
	int64_t skew_s = date_s - clock_wall_ms() / 1000;
	if (date_s < 0)
		return;
	route->skew[0] = '\0';
	if (skew_s >= -SKEW_MAX_S && skew_s <= SKEW_MAX_S)
		return;
	snprintf(route->skew, sizeof(route->skew), "the clock of APNs is %+lld s from ours",
		(long long)skew_s);
	if (!known)
		log_error("apns", "route=%s alarm=\"%s\"", route->name, route->skew);
}

static void on_answered(
	struct route *route, struct connection *connection, struct delivery *delivery)
{
	struct stream *stream = &delivery->stream;
	struct outcome outcome =
		push_outcome_classify(stream->status, stream->body, stream->body_len);
	struct push_result result = {
		.class = outcome.class,
		.status = stream->status,
		.timestamp_ms = outcome.timestamp_ms,
		.done_us = clock_mono_us(),
	};

	route->last_good_us = result.done_us;
	route->needed_since_us = 0;
	route->lost = false;
	if (is_odd(&outcome))
		answer_note_odd(route, stream, outcome.alarm);
	answer_check_clock(route, connection, stream->status);
	answer_judge_connection(connection, stream, &outcome);
	if (outcome.class == PUSH_ACCEPTED) {
		connection_record(connection)->good++;
		on_good(route, connection, delivery);
	}
	if (outcome.reason[0])
		snprintf(result.reason, sizeof(result.reason), "%s", outcome.reason);
	if (!strcmp(stream->apns_id, delivery->apns_id)) /* as it always is */
		memcpy(result.apns_id, delivery->apns_id, sizeof(result.apns_id));
	else
		uuid_normalize(stream->apns_id, result.apns_id);
	delivery->answer = result;
	if (may_go_again(route, delivery) && answer_retry(route, connection, delivery, &outcome))
		return;
	if (outcome.alarm)
		route_raise_alarm(route, delivery, is_odd(&outcome) ? route->odd : outcome.reason);
	delivery_finish(delivery, &result);
}

void answer_take(struct route *route, struct connection *connection, struct delivery *delivery)
{
	struct stream *stream = &delivery->stream;

	delivery->place = DELIVERY_NOWHERE;
	delivery->connection = NULL;
	delivery->avoid = connection_serial(connection);
	if (stream->written_us)
		delivery->written_us = stream->written_us;
	if (stream->timed_out && ++connection_record(connection)->bad_in_row >= BAD_IN_ROW_MAX)
		connection_retire(connection, FAULT_SILENT, "no answer to push after push");
	switch (stream->end) {
	case STREAM_OPEN: /* never comes here */
	case STREAM_UNPROCESSED:
		on_unprocessed(route, connection, delivery);
		break;
	case STREAM_AMBIGUOUS:
		on_ambiguous(route, connection, delivery);
		break;
	case STREAM_ANSWERED:
		on_answered(route, connection, delivery);
		break;
	}
}
