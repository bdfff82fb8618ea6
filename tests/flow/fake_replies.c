/* SPDX-License-Identifier: MIT */
#include "fake_replies.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <cmocka.h>

#include "fake_memory.h"

struct line {
	STAILQ_ENTRY(line) entry;
	uint64_t client;
	char *text;
};

struct fake_replies {
	struct reply_port port;
	STAILQ_HEAD(, line) lines;
};

static void take_reply(
	void *self, struct reply_to to, enum event_error_code code, const char *text, size_t len)
{
	struct fake_replies *replies = self;
	bool armed = fake_memory_arm(false);
	struct line *line = calloc(1, sizeof(*line));
	char said[64];

	assert_non_null(line);
	/* what a front end is told beside the text is what the text says */
	snprintf(said, sizeof(said), "\"error\":\"%s\"", event_error_name(code));
	assert_true(!memmem(text, len, "\"ok\":false", 10) == !code);
	assert_true(!code || memmem(text, len, said, strlen(said)));
	if (memchr(text, '\n', len))
		fail_msg("a reply of more than one line: %.*s", (int)len, text);
	line->client = to.client;
	line->text = strndup(text, len);
	STAILQ_INSERT_TAIL(&replies->lines, line, entry);
	fake_memory_arm(armed);
}

struct fake_replies *fake_replies_new(void)
{
	struct fake_replies *replies = calloc(1, sizeof(*replies));

	assert_non_null(replies);
	replies->port = (struct reply_port){.self = replies, .reply = take_reply};
	STAILQ_INIT(&replies->lines);
	return replies;
}

const struct reply_port *fake_replies_port(struct fake_replies *replies)
{
	return &replies->port;
}

char *fake_replies_take(struct fake_replies *replies, uint64_t client)
{
	struct line *line;
	char *text;

	STAILQ_FOREACH (line, &replies->lines, entry) {
		if (!client || line->client == client)
			break;
	}
	if (!line)
		return NULL;
	STAILQ_REMOVE(&replies->lines, line, line, entry);
	text = line->text;
	free(line);
	return text;
}

void fake_replies_free(struct fake_replies *replies)
{
	char *text;

	while ((text = fake_replies_take(replies, 0)))
		free(text);
	free(replies);
}
