/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_FLOW_INTERNAL_H
#define PBXPUSH_DAEMON_FLOW_INTERNAL_H

#include <pbxpush/core/contact.h>
#include <pbxpush/core/number.h>
#include <pbxpush/core/payload.h>
#include <pbxpush/core/reply.h>
#include <pbxpush/daemon/flow.h>
#include <pbxpush/directory/directory.h>
#include <pbxpush/status/metrics.h>
#include <pbxpush/status/timeline.h>

#include "caller.h"
#include "calls.h"

/* What the files of the call flow share; nobody else includes this. */

/* [directory] max-devices may not be higher. */
#define FLOW_DEVICES_MAX       64
/* An `answer` or `end` of a call nobody knows is remembered this long (CONTRACT 2.1). */
#define FLOW_UNKNOWN_END_US    30000000
/* Dead tokens that the directory does not know (`contacts`) and of which the hook was told. */
#define FLOW_TOLD_DEAD         1024
/* Once one device is accepted the others get this much longer. */
#define FLOW_ACCEPTED_GRACE_US 500000

struct news_item;
struct silence;

struct flow {
	const struct config *config;
	struct flow_ports ports;
	struct event_sink sink;
	struct calls calls;
	struct number_rules numbers;
	struct buf out;                          /* scratch for the reply being written */
	struct buf payload;                      /* scratch for the payload being sent */
	struct buf line;                         /* scratch for a line of the log */
	struct device devices[FLOW_DEVICES_MAX]; /* scratch for a lookup */
	struct reply_device report[FLOW_DEVICES_MAX];
	LIST_HEAD(news_list, news_item) news;       /* under way */
	TAILQ_HEAD(silence_list, silence) silences; /* users on do-not-disturb who missed calls */
	size_t silence_count;
	size_t waiting, in_flight, storing;
	bool stopping;
	/* The time, read once for each thing that happens (flow_look_at_clock()). */
	int64_t now_us, now_ms;
	int64_t woken_for_us; /* what ports.wake was last asked for */
	uint64_t events, pushes;
	uint64_t told_dead[FLOW_TOLD_DEAD]; /* hashes, each at its place; 0: none */
};

/* One event being handled. The handler may keep `event` by moving it out (line NULL afterwards). */
struct request {
	struct reply_to to;
	struct call_event event;
	struct event_line *line; /* of the event, whatever the handler does with that */
	const char *id; /* JSON text, NULL where absent; borrowed from the event, for the handler */
	int64_t read_us;
	const char *outcome; /* for the metric: "ok", or the name of the error */
};

/* ---- flow.c ---- */

/* Sets now_us and now_ms. Whatever enters the flow from outside begins with it. */
void flow_look_at_clock(struct flow *flow);

void flow_reply(struct reply_to to, const struct buf *text);

/* Asks for flow_run_due() at the time of what is due first. Called where that may have changed. */
void flow_wake(struct flow *flow);

/* Answers a request with an error. */
void flow_reply_error(struct flow *flow, struct request *request, enum event_error_code code,
	const char *field, const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Begins `{"id":…,"ok":true,"event":…` in flow->out. */
struct buf *flow_reply_begin(struct flow *flow, const struct request *request);
/* Closes and sends it. */
void flow_reply_end(struct flow *flow, const struct request *request);

/* A reply that waits for the disk: hand flow_stored and the struct to the directory, then
 * flow_store_reply() with what flow_reply_begin() began, or flow_store_failed() where the
 * directory refused. */
struct storing;
struct storing *flow_store_begin(struct flow *flow, struct request *request);
void flow_stored(void *storing, enum err err);
void flow_store_reply(struct storing *storing);
void flow_store_failed(struct storing *storing, struct request *request, enum err err);

/* The user of an event field as the directory's key; answers the request and returns false where
 * default-domain makes it too long. */
bool flow_user(struct flow *flow, struct request *request, const char *text, char out[AOR_SIZE]);

/* A number or user as logs and the status may show it. Borrowed until the fourth next call. */
const char *flow_shown(const struct flow *flow, const char *text);

/* A Call-ID as one word of a log line, so that a strange one cannot pose as further fields.
 * Borrowed until the fourth next call. */
const char *flow_word(const char *text);

/* Adds an entry to the call's timeline, as timeline_add() takes it. */
void flow_story(struct flow *flow, const char *call_id, const char *uuid, const char *what,
	const struct timeline_field *fields, size_t count);
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- callee.c: state, waiters, replies ---- */

/* The one place where a callee changes its state. Anything but RINGING ends pushing: pending pushes
 * are withdrawn. Returns how many. device (or NULL): which phone it was. */
size_t callee_set_state(
	struct flow *flow, struct callee *callee, enum call_state state, const char *device);

/* Frees the callee's event where no push, alert or hook will be written from it any more. */
void callee_tidy(struct flow *flow, struct callee *callee);

/* A client waits for this callee (at once released by callee_settle() where it need not). */
enum err callee_add_waiter(struct flow *flow, struct callee *callee, struct request *request,
	const struct call_event *event, bool duplicate);

/* What a `call` was answered: for its story, the figures and the log. read_us: when it came. */
void call_tell_verdict(struct flow *flow, const char *user, int64_t attempt, int64_t read_us,
	const struct reply_call *reply);

/* Answers every waiter whose time has come, and says when the callee is due again. */
void callee_settle(struct flow *flow, struct callee *callee);

/* The same for every user of a call: those who share a phone wait for one push. */
void call_settle(struct flow *flow, struct call *call);

/* The callee's moment has come: deadline, reply, delayed push or being forgotten. May free it. */
void callee_run_due(struct flow *flow, struct callee *callee);

/* Forgets a callee; pushes in flight lose it, waiters must have gone. */
void callee_forget(struct flow *flow, struct callee *callee);

/* Answers the waiters with the call as it stands, whatever they wait for. time_up: the call is
 * over; else it goes on without us, and a phone that is being woken will still register. */
void callee_release_all(struct flow *flow, struct callee *callee, bool time_up);

/* ---- verdict.c: how a call stands ---- */

/* time_up: the waiter's time, or the call's, is over. device NULL: every device. Fills verdict,
 * rule, registered_*, and the devices (in flow->report). */
void callee_stands(struct flow *flow, struct callee *callee, const char *device,
	enum wait_mode wait, bool time_up, struct reply_call *out);

/* True when the devices of this report leave nothing to wait for under wait=push at now_us;
 * otherwise *due_us is when that will be so without a further event (0: not by itself). */
bool callee_pushes_are_told(
	const struct callee *callee, const char *device, int64_t now_us, int64_t *due_us);

/* A push to the target is on its way or was accepted, or it rings without one. */
bool target_is_waking(const struct target *target);

/* The target with this token, in any user of the callee's call and attempt, that has a push of its
 * own: the one that wakes the phone, else one whose push has come to nothing. NULL where there
 * is none. */
const struct target *callee_find_carrier(const struct callee *callee, const char *token);

/* The target is being woken, or was, by its own push or by another user's. */
bool target_is_live(const struct callee *callee, const struct target *target);

/* A target as a reply shows it. Borrowed from the target. */
void target_report(const struct target *target, int64_t read_us, struct reply_device *out);

/* ---- call_push.c ---- */

/* What a call's event does not say. */
struct call_facts {
	const char *uuid;
	int64_t started_ms, expires_ms;
};

/* What the body of a call is written from. Borrowed from the event, facts, target and the
 * configuration: to be used at once. */
struct call_body {
	struct payload_call call;
	struct caller caller;
	const struct config_app *app; /* NULL where it is no longer configured */
};

void call_body_fill(struct flow *flow, const struct call_event *event,
	const struct call_facts *facts, const struct target *target, struct call_body *out);

/* Makes the callee the owner of its targets' pushes, once its event is in place. */
void callee_own_pushes(struct callee *callee);

/* Sends the push of a pending target. */
void callee_push(struct flow *flow, struct callee *callee, struct target *target);

/* Calls a pending push back; true where it surely was not sent. Another user of the call whose
 * phone this is gets its own push then. */
bool callee_withdraw(struct flow *flow, struct callee *callee, struct target *target,
	enum device_result result, enum skip_reason skip);

/* ---- news.c, own_news.c ---- */

/* A call in alert mode is over: the alert of this target gets its closing one. */
void news_close_call(struct flow *flow, struct callee *callee, const struct target *target);

/* A call ended unanswered: where [alerts] missed-call says so, its user is told. */
void news_of_missed_call(struct flow *flow, struct callee *callee);

/* Do-not-disturb kept this call silent: it is counted, and told of when that ends. */
void news_count_silenced(struct flow *flow, struct callee *callee, const struct call_event *event);

/* Tells those whose do-not-disturb has ended how many calls they missed. */
void news_tick(struct flow *flow);

/* The end of a drain: answers what is under way as it stands. */
void news_release_all(struct flow *flow);

/* Frees what is under way without an answer. */
void news_free_all(struct flow *flow);
void own_news_free(struct flow *flow);

/* ---- hook_flow.c: what the PBX's web application hears of ---- */

/* True while it wants to hear: what is done for it alone is not done otherwise. */
bool flow_hook_wanted(const struct flow *flow);

/* The push service said that the token of this event is dead. changed: devices in the directory
 * that were alive with it until now. type, at_ms are filled here. */
void flow_tell_dead_token(struct flow *flow, struct hook_event *event, size_t changed);

/* At the deadline, before the call is over: was a phone pushed to that did not register? */
void flow_tell_no_register(struct flow *flow, struct callee *callee);

/* Tells of a call that its user missed, by now or by do-not-disturb; of any other, nothing. event:
 * the call's own; NULL where nobody kept it: nothing. */
void flow_tell_missed_call(
	struct flow *flow, const struct callee *callee, const struct call_event *event);

/* ---- targets.c ---- */

/* A target for a device, not yet decided about. */
enum err target_init(struct target *target, const char *name, const char *app, const char *contact,
	const char *token);

/* Where to push, from what the device, what was learned, and the app say. */
void target_choose_environment(
	struct target *target, const struct device *device, const struct config_app *app);

/* Makes the callee's targets from its event's contacts or the directory. dnd_counts: a device on
 * do-not-disturb is skipped. */
enum err targets_make(struct flow *flow, struct callee *callee, bool dnd_counts);

/* ---- policy_flow.c ---- */

/* True while a window of the user's dnd-schedule is open; *until_ms is when it closes. */
bool flow_schedule_holds(struct flow *flow, const char *user, int64_t *until_ms);

/* ---- handlers, one per event ---- */

void handle_call(struct flow *flow, struct request *request);
void handle_answer(struct flow *flow, struct request *request);
void handle_end(struct flow *flow, struct request *request);
void handle_ringing(struct flow *flow, struct request *request);
void handle_call_state(struct flow *flow, struct request *request);
void handle_register(struct flow *flow, struct request *request);
void handle_unregister(struct flow *flow, struct request *request);
void handle_forget(struct flow *flow, struct request *request);
void handle_dnd(struct flow *flow, struct request *request);
void handle_list(struct flow *flow, struct request *request);
void handle_schedule(struct flow *flow, struct request *request);
void handle_call_waiting(struct flow *flow, struct request *request);
void handle_mute(struct flow *flow, struct request *request);
void handle_show(struct flow *flow, struct request *request);
void handle_export(struct flow *flow, struct request *request);
void handle_news(struct flow *flow, struct request *request);
void handle_ping(struct flow *flow, struct request *request);

#endif
