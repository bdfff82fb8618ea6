/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/worker.h>

#include "resolver.h"

/* What the thread works on: its own copy, so that the resolver may go away meanwhile. */
struct question {
	struct resolver *resolver; /* touched on the loop's thread only */
	struct endpoint endpoint;
	unsigned serial;
	struct addrinfo *list;
	int fault, saved_errno;
};

TAILQ_HEAD(query_list, resolver_query);

struct resolver {
	struct event_base *base;
	struct endpoint endpoint;
	struct worker *worker; /* NULL before the first question */
	struct event *readable;
	struct query_list queries;
	unsigned serial; /* of the last question */
	bool asking;
};

static void question_free(void *arg)
{
	struct question *question = arg;

	if (question->list)
		freeaddrinfo(question->list);
	free(question);
}

static void question_run(void *arg)
{
	struct question *question = arg;
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		/* No AI_ADDRCONFIG: a host with loopback only must still reach loopback. */
		.ai_flags = AI_NUMERICSERV,
	};

	question->fault = getaddrinfo(
		question->endpoint.host, question->endpoint.port, &hints, &question->list);
	question->saved_errno = errno;
}

static void question_done(void *arg)
{
	struct question *question = arg;
	struct resolver *resolver = question->resolver;
	struct resolver_query *query;
	const char *why = NULL;

	resolver->asking = false;
	if (question->fault) {
		question->list = NULL;
		why = question->fault == EAI_SYSTEM ? strerror(question->saved_errno)
						    : gai_strerror(question->fault);
	}
	/* From the live list, as an answer may cancel other queries, or ask the next question. */
	while ((query = TAILQ_FIRST(&resolver->queries)) && query->serial == question->serial) {
		resolver_cancel(resolver, query);
		query->done(query->arg, question->list, why);
	}
	question_free(question);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	const struct resolver *resolver = arg;

	(void)fd, (void)what;
	worker_collect(resolver->worker);
}

enum err resolver_new(
	struct event_base *base, const struct endpoint *endpoint, struct resolver **out)
{
	struct resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return ERR_NOMEM;
	TAILQ_INIT(&resolver->queries);
	resolver->base = base;
	resolver->endpoint = *endpoint;
	*out = resolver;
	return ERR_OK;
}

/* With the first question: most routes to the sandbox are never used. */
static enum err resolver_start_worker(struct resolver *resolver)
{
	struct worker *worker;

	if (resolver->worker)
		return ERR_OK;
	enum err err = worker_new(&worker, "apns-dns");
	if (err)
		return err;
	resolver->readable = event_new(
		resolver->base, worker_fd(worker), EV_READ | EV_PERSIST, on_readable, resolver);
	if (!resolver->readable || event_add(resolver->readable, NULL)) {
		if (resolver->readable)
			event_free(resolver->readable);
		resolver->readable = NULL;
		worker_free(worker);
		return ERR_NOMEM;
	}
	resolver->worker = worker;
	return ERR_OK;
}

void resolver_free(struct resolver *resolver)
{
	if (!resolver)
		return;
	if (resolver->readable)
		event_free(resolver->readable);
	if (resolver->asking)
		worker_abandon(resolver->worker, question_free);
	else
		worker_free(resolver->worker);
	free(resolver);
}

static enum err resolver_start(struct resolver *resolver)
{
	enum err err = resolver_start_worker(resolver);

	if (err)
		return err;
	struct question *question = calloc(1, sizeof(*question));

	if (!question)
		return ERR_NOMEM;
	question->resolver = resolver;
	question->endpoint = resolver->endpoint;
	question->serial = ++resolver->serial;
	err = worker_submit(resolver->worker, question_run, question_done, question);
	if (err)
		free(question);
	else
		resolver->asking = true;
	return err;
}

enum err resolver_ask(struct resolver *resolver, struct resolver_query *query)
{
	enum err err = resolver->asking ? ERR_OK : resolver_start(resolver);

	if (err)
		return err;
	query->pending = true;
	query->serial = resolver->serial;
	TAILQ_INSERT_TAIL(&resolver->queries, query, link);
	return ERR_OK;
}

void resolver_cancel(struct resolver *resolver, struct resolver_query *query)
{
	if (!query->pending)
		return;
	TAILQ_REMOVE(&resolver->queries, query, link);
	query->pending = false;
}
