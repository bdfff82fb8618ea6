/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_EVAPI_LINK_H
#define PBXPUSH_PBX_EVAPI_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/ports.h>

struct event_base;

/* One connection to Kamailio's evapi: netstrings in, netstrings out. evapi.c says when there is
 * one. */
struct evapi_link;

struct evapi_link_options {
	const struct event_sink *sink;
	struct reply_to to; /* of every event of this connection */
	enum client_role role;
	size_t max_line;

	/* Once, from the event loop, at its end; free the link there, or later. why: a sentence
	 * that is valid as long as the link, NULL where it ended as evapi_link_retire() wished. */
	void (*ended)(void *arg, const char *why);
	void *arg;
};

/* Takes a connected, non-blocking descriptor; it stays the caller's on failure. Options are copied,
 * what they point to is borrowed. */
enum err evapi_link_new(struct event_base *base, int fd, const struct evapi_link_options *options,
	struct evapi_link **out);

/* For the events that follow. */
void evapi_link_configure(struct evapi_link *link, enum client_role role, size_t max_line);

/* Answers one event. May be called from inside the sink. */
void evapi_link_reply(struct evapi_link *link, const char *text, size_t len);

/* Ends when everything is answered. Kamailio may send on until then; it is the sink that takes no
 * more calls. */
void evapi_link_retire(struct evapi_link *link);

/* Events without a reply. */
size_t evapi_link_owed(const struct evapi_link *link);

/* True once a whole netstring has come: the other side speaks our language. */
bool evapi_link_is_proven(const struct evapi_link *link);

/* True where the stream was no netstrings. */
bool evapi_link_is_broken(const struct evapi_link *link);

/* Closes it. Accepts NULL. */
void evapi_link_free(struct evapi_link *link);

#endif
