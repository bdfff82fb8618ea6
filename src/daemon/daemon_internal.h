/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_DAEMON_INTERNAL_H
#define PBXPUSH_DAEMON_DAEMON_INTERNAL_H

#include <pbxpush/core/ports.h>
#include <pbxpush/daemon/zones.h>

#include "daemon.h"
#include "status_view.h"

/* Shared by daemon.c (life) and apply.c (from configuration to options). */

enum phase { PHASE_RUNNING, PHASE_DRAINING, PHASE_FLUSHING };

struct daemon {
	char *path;
	struct config *config;
	struct event_base *base;
	struct directory *directory;
	struct apns *apns;
	struct metrics *metrics;
	struct timeline *timeline;
	struct zones *zones;
	struct event_socket *events;
	struct http_events *http;
	struct evapi *evapi;
	struct status_server *status, *status_http;
	struct hook *hook; /* NULL where [hook] url is empty */
	struct flow *flow;
	struct status_view view;
	enum phase phase;
	int64_t phase_ends_us;
	int64_t stop_by_us; /* the end of drain-timeout */
	struct event *wake, *tick, *watchdog, *drain, *log, *stored, *sigterm, *sigint, *sighup;
};

/* Each hands what the configuration says to a module, at the start and after a reload. On failure
 * nothing has changed in that module, and why says what is wrong. */
enum err daemon_apply_apns(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size);
enum err daemon_apply_events(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size);
enum err daemon_apply_evapi(struct daemon *daemon, const struct config *config);
enum err daemon_apply_http(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size);
enum err daemon_apply_status(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size);
enum err daemon_apply_status_http(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size);
enum err daemon_apply_hook(struct daemon *daemon, const struct config *config);

/* A reload: all of them, and what cannot fail. */
enum err daemon_apply_all(
	struct daemon *daemon, const struct config *config, char *why, size_t why_size);

#endif
