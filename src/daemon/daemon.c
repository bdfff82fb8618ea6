/* SPDX-License-Identifier: MIT */
#include "daemon_internal.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <event2/event.h>
#include <openssl/evp.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/log.h>
#include <pbxpush/daemon/config_file.h>

#include "notify.h"

/* Calls whose story `/calls/ID` tells (CONTRACT 5). */
#define TIMELINE_CALLS  10000
#define TIMELINE_AGE_MS 3600000
#define TICK_US         10000000
/* While it drains the daemon looks this often whether it is done. */
#define DRAIN_POLL_US   10000
/* Replies released at the end of a drain get this long to leave. */
#define FLUSH_US        500000

static void sha1(const void *data, size_t len, uint8_t digest[20])
{
	/* made once: OpenSSL 3 would look the algorithm up for every call */
	static EVP_MD_CTX *context;
	static EVP_MD *algorithm;

	if (!context) {
		context = EVP_MD_CTX_new();
		algorithm = EVP_MD_fetch(NULL, "SHA1", NULL);
	}
	EVP_DigestInit_ex2(context, algorithm, NULL);
	EVP_DigestUpdate(context, data, len);
	EVP_DigestFinal_ex(context, digest, NULL);
}

/* The C library asks the kernel each time; an apns-id needs 16 bytes. */
static void random_bytes(void *out, size_t len)
{
	static uint8_t pool[1024];
	static size_t left;

	if (len > sizeof(pool)) {
		arc4random_buf(out, len);
		return;
	}
	if (left < len) {
		arc4random_buf(pool, sizeof(pool));
		left = sizeof(pool);
	}
	left -= len;
	memcpy(out, pool + left, len);
}

static void set_timer(struct event *timer, int64_t delay_us)
{
	struct timeval delay = {
		.tv_sec = delay_us / 1000000, .tv_usec = (suseconds_t)(delay_us % 1000000)};

	event_add(timer, &delay);
}

/* ---- what the modules tell each other ---- */

static void wake_flow(void *self, int64_t due_us)
{
	struct daemon *daemon = self;
	int64_t delay_us = due_us - clock_mono_us();

	set_timer(daemon->wake, delay_us > 0 ? delay_us : 0);
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd, (void)what;
	flow_run_due(daemon->flow);
}

static void on_stored(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd, (void)what;
	directory_collect(daemon->directory);
}

static void tell_state(struct daemon *daemon)
{
	struct flow_stats stats;
	char text[128];

	flow_stats(daemon->flow, &stats);
	snprintf(text, sizeof(text), "STATUS=%zu calls ringing, %zu pushes open, %zu clients",
		stats.ringing, apns_pending(daemon->apns), status_view_clients(&daemon->view));
	notify_send(text);
}

static void want_flush(void *arg)
{
	struct daemon *daemon = arg;

	event_active(daemon->log, EV_TIMEOUT, 0); /* runs after what this turn has to do */
}

static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	log_flush();
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd, (void)what;
	directory_tick(daemon->directory, clock_wall_ms());
	flow_tick(daemon->flow);
	tell_state(daemon);
}

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	notify_send("WATCHDOG=1");
}

/* ---- reload, drain ---- */

static void log_faults(const struct buf *faults)
{
	const char *line = buf_str(faults);

	for (size_t len; line[0]; line += len + (line[len] == '\n')) {
		len = strcspn(line, "\n");
		log_error("config", "%.*s", (int)len, line);
	}
}

static void reload(struct daemon *daemon)
{
	struct config *config = NULL;
	struct buf faults = {0};
	char why[512] = "", again[512];

	notify_send("RELOADING=1");
	if (config_load(daemon->path, &config, &faults)) {
		log_faults(&faults);
		log_error("config", "%s: not reloaded, nothing has changed", daemon->path);
	} else if (daemon_apply_all(daemon, config, why, sizeof(why))) {
		log_error("config", "%s: not reloaded, nothing has changed: %s", daemon->path, why);
		if (daemon_apply_all(daemon, daemon->config, again, sizeof(again)))
			log_error("config", "going back failed too: %s", again);
		config_free(config);
	} else {
		if (strcmp(config->directory_path, daemon->config->directory_path) != 0)
			log_warning("config", "[directory] path: changes with a restart only");
		config_free(daemon->config);
		daemon->config = config;
		log_notice("config", "%s: reloaded", daemon->path);
	}
	buf_free(&faults);
	notify_send("READY=1");
}

static void on_sighup(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)fd, (void)what;
	if (daemon->phase == PHASE_RUNNING)
		reload(daemon);
}

static void enter(struct daemon *daemon, enum phase phase, int64_t lasts_us)
{
	static const char *const names[] = {"running", "draining", "flushing"};

	log_notice("daemon", "%s -> %s", names[daemon->phase], names[phase]);
	daemon->phase = phase;
	daemon->phase_ends_us = clock_mono_us() + lasts_us;
}

static bool everything_is_answered(const struct daemon *daemon)
{
	return event_socket_is_drained(daemon->events) && http_events_is_drained(daemon->http) &&
	       evapi_is_drained(daemon->evapi);
}

/* The web application gets what is left of drain-timeout. */
static bool hook_is_drained(const struct daemon *daemon)
{
	struct hook_stats stats = {0};

	if (daemon->hook)
		hook_stats(daemon->hook, &stats);
	return !stats.queued || clock_mono_us() >= daemon->stop_by_us;
}

static void on_drain(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *daemon = arg;
	bool late = clock_mono_us() >= daemon->phase_ends_us;

	(void)fd, (void)what;
	if (daemon->phase == PHASE_DRAINING && (late || !flow_is_busy(daemon->flow))) {
		if (late)
			log_warning("daemon", "drain-timeout: %zu pushes without answer",
				apns_pending(daemon->apns));
		flow_release_all(daemon->flow);
		enter(daemon, PHASE_FLUSHING, FLUSH_US);
	}
	/* Asked again: the time for flushing begins when that for draining is up. */
	late = clock_mono_us() >= daemon->phase_ends_us;
	if (daemon->phase == PHASE_FLUSHING && (late || everything_is_answered(daemon)) &&
		hook_is_drained(daemon))
		event_base_loopbreak(daemon->base);
	else
		set_timer(daemon->drain, DRAIN_POLL_US);
}

static void on_stop(evutil_socket_t signal, short what, void *arg)
{
	struct daemon *daemon = arg;

	(void)what;
	if (daemon->phase != PHASE_RUNNING) {
		log_notice("daemon", "signal %d again: stopping at once", (int)signal);
		event_base_loopbreak(daemon->base);
		return;
	}
	notify_send("STOPPING=1");
	flow_stop(daemon->flow);
	event_socket_stop(daemon->events);
	http_events_stop(daemon->http);
	evapi_stop(daemon->evapi);
	enter(daemon, PHASE_DRAINING, daemon->config->drain_timeout_ms * 1000);
	daemon->stop_by_us = daemon->phase_ends_us;
	set_timer(daemon->drain, 0);
}

/* ---- life ---- */

static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static enum err make_events(struct daemon *daemon)
{
	struct event_base *base = daemon->base;
	int64_t watchdog_us = notify_watchdog_us();
	struct timeval tick = {.tv_sec = TICK_US / 1000000};
	struct timeval period = {
		.tv_sec = watchdog_us / 1000000, .tv_usec = (suseconds_t)(watchdog_us % 1000000)};

	daemon->wake = evtimer_new(base, on_wake, daemon);
	daemon->drain = evtimer_new(base, on_drain, daemon);
	daemon->log = evtimer_new(base, on_flush, daemon);
	daemon->tick = event_new(base, -1, EV_PERSIST, on_tick, daemon);
	daemon->watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, daemon);
	daemon->stored = event_new(
		base, directory_fd(daemon->directory), EV_READ | EV_PERSIST, on_stored, daemon);
	daemon->sigterm = evsignal_new(base, SIGTERM, on_stop, daemon);
	daemon->sigint = evsignal_new(base, SIGINT, on_stop, daemon);
	daemon->sighup = evsignal_new(base, SIGHUP, on_sighup, daemon);
	if (!daemon->wake || !daemon->drain || !daemon->log || !daemon->tick || !daemon->watchdog ||
		!daemon->stored || !daemon->sigterm || !daemon->sigint || !daemon->sighup)
		return ERR_NOMEM;
	event_priority_set(daemon->wake, 0); /* calls that end before pushes that leave */
	event_add(daemon->tick, &tick);
	if (watchdog_us)
		event_add(daemon->watchdog, &period);
	event_add(daemon->stored, NULL);
	event_add(daemon->sigterm, NULL);
	event_add(daemon->sigint, NULL);
	event_add(daemon->sighup, NULL);
	return ERR_OK;
}

static enum err open_directory(struct daemon *daemon, char *why, size_t why_size)
{
	const struct config *config = daemon->config;
	struct directory_options options = {.path = config->directory_path,
		.max_devices = (int)config->max_devices,
		.device_ttl_ms = config->device_ttl_ms};

	return directory_open(&options, clock_wall_ms(), &daemon->directory, why, why_size);
}

static void tell_hook(void *self, const struct hook_event *event)
{
	struct daemon *daemon = self;

	if (daemon->hook) /* a reload may take it away, and bring it back */
		hook_post(daemon->hook, event);
}

static enum err make_flow(struct daemon *daemon)
{
	struct flow_ports ports = {
		.transport = apns_transport(daemon->apns),
		.hook = {.self = daemon, .tell = tell_hook},
		.directory = daemon->directory,
		.metrics = daemon->metrics,
		.timeline = daemon->timeline,
		.sha1 = sha1,
		.random = random_bytes,
		.look_at_clock = clock_look,
		.zone = zones_get,
		.zone_self = daemon->zones,
		.wake = wake_flow,
		.wake_self = daemon,
	};

	return flow_new(daemon->config, &ports, &daemon->flow);
}

/* In the order in which each needs the one before. */
static enum err start(struct daemon *daemon, char *why, size_t why_size)
{
	enum err err = open_directory(daemon, why, why_size);

	if (!err)
		err = metrics_new(&daemon->metrics);
	if (!err)
		err = timeline_new(TIMELINE_CALLS, TIMELINE_AGE_MS, &daemon->timeline);
	if (!err)
		err = zones_new(&daemon->zones);
	if (!err)
		err = daemon_apply_apns(daemon, daemon->config, why, why_size);
	if (!err)
		err = make_flow(daemon);
	if (!err)
		err = make_events(daemon);
	if (!err)
		err = daemon_apply_events(daemon, daemon->config, why, why_size);
	if (!err)
		err = daemon_apply_http(daemon, daemon->config, why, why_size);
	if (!err)
		err = daemon_apply_evapi(daemon, daemon->config);
	if (err)
		return err;
	daemon->view = (struct status_view){.flow = daemon->flow,
		.apns = daemon->apns,
		.directory = daemon->directory,
		.events = daemon->events,
		.http = daemon->http,
		.evapi = daemon->evapi,
		.metrics = daemon->metrics,
		.timeline = daemon->timeline,
		.started_us = clock_mono_us()};
	status_view_init(&daemon->view);
	err = daemon_apply_status(daemon, daemon->config, why, why_size);
	if (!err)
		err = daemon_apply_status_http(daemon, daemon->config, why, why_size);
	if (!err)
		err = daemon_apply_hook(daemon, daemon->config);
	return err;
}

enum err daemon_new(const char *path, struct config *config, struct daemon **out)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	char why[512] = "";
	enum err err = ERR_NOMEM;

	if (!daemon) {
		config_free(config);
		return ERR_NOMEM;
	}
	daemon->config = config;
	daemon->path = strdup(path);
	daemon->base = event_base_new();
	if (daemon->base) /* 0: what must not be late; 1: the others */
		event_base_priority_init(daemon->base, 2);
	log_set_level((enum log_level)config->log_level);
	raise_descriptor_limit();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* LimitFSIZE= is a full disk, not a reason to die */
	if (daemon->path && daemon->base)
		err = start(daemon, why, sizeof(why));
	if (err) {
		log_error("daemon", "cannot start: %s", why[0] ? why : err_string(err));
		daemon_free(daemon);
		return err;
	}
	*out = daemon;
	return ERR_OK;
}

enum err daemon_run(struct daemon *daemon)
{
	log_notice("daemon", "pbxpushd %s ready: events %s, status %s, %zu app%s", PBXPUSH_VERSION,
		daemon->config->events_socket, daemon->config->status_socket,
		daemon->config->app_count, daemon->config->app_count == 1 ? "" : "s");
	notify_send("READY=1");
	tell_state(daemon);
	log_hold(want_flush, daemon);
	int result = event_base_dispatch(daemon->base);
	log_hold(NULL, NULL);
	if (result < 0)
		return ERR_IO;
	log_notice("daemon", "stopped");
	return ERR_OK;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void daemon_free(struct daemon *daemon)
{
	if (!daemon)
		return;
	status_server_free(daemon->status);
	status_server_free(daemon->status_http);
	apns_free(daemon->apns);            /* every push ends … */
	directory_close(daemon->directory); /* … every change is on disk … */
	flow_free(daemon->flow);            /* … before the flow that hears of it goes */
	hook_free(daemon->hook);
	event_socket_free(daemon->events);
	http_events_free(daemon->http);
	evapi_free(daemon->evapi);
	timeline_free(daemon->timeline);
	zones_free(daemon->zones);
	metrics_free(daemon->metrics);
	free_event(daemon->wake);
	free_event(daemon->tick);
	free_event(daemon->watchdog);
	free_event(daemon->drain);
	free_event(daemon->log);
	free_event(daemon->stored);
	free_event(daemon->sigterm);
	free_event(daemon->sigint);
	free_event(daemon->sighup);
	if (daemon->base)
		event_base_free(daemon->base);
	config_free(daemon->config);
	free(daemon->path);
	free(daemon);
}
