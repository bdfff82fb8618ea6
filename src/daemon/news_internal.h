/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_NEWS_INTERNAL_H
#define PBXPUSH_DAEMON_NEWS_INTERNAL_H

#include "flow_internal.h"

/* Shared by news.c (what the PBX tells) and own_news.c (what the daemon tells by itself). */

enum news_kind { NEWS_OF_EVENT, NEWS_CALL_CLOSED, NEWS_CALLS_SILENCED };

/* [alerts] muted */
enum muted { MUTED_DROP, MUTED_SILENT };

/* One piece of news on its way to a user's devices. */
struct news_item {
	struct push_owner owner;
	LIST_ENTRY(news_item) link;
	enum news_kind kind;
	struct request request; /* event owned; of what nobody asked for `to` is no client */
	bool wants_reply;
	char *id; /* JSON text, owned, or NULL */
	char user[AOR_SIZE];
	bool silent;
	bool truncated;
	struct target *targets;
	size_t target_count;

	/* of a call in alert mode that is over */
	char uuid[UUID_SIZE];
	int64_t started_ms, expires_ms;
	enum call_state state;

	int64_t count; /* of silenced calls */
};

/* A piece of news without targets, in the flow's list. NULL: no memory. */
struct news_item *news_item_new(struct flow *flow, enum news_kind kind, const char *user);
void news_item_free(struct news_item *item);

/* The user's devices, and which of them can be told. */
enum err news_make_targets(struct flow *flow, struct news_item *item);

/* Sends to every pending target. The item frees itself when all have ended, perhaps in here. */
void news_send(struct flow *flow, struct news_item *item);

/* Why news must not disturb this user now; RULE_NONE where it may. */
enum rule news_why_quiet(struct flow *flow, const struct call_event *event, const char *user);

#endif
