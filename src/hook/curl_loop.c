/* SPDX-License-Identifier: MIT */
#include "curl_loop.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <event2/event.h>

/* One socket that libcurl waits for. */
struct watch {
	LIST_ENTRY(watch) link;
	struct event *event;
};

struct curl_loop {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	curl_loop_done_fn *done;
	LIST_HEAD(, watch) watches;
};

static void act(struct curl_loop *loop, curl_socket_t fd, int what)
{
	curl_loop_done_fn *done = loop->done;
	CURLMsg *message;
	int running, left;

	curl_multi_socket_action(loop->multi, fd, what, &running);
	while ((message = curl_multi_info_read(loop->multi, &left))) {
		CURL *easy = message->easy_handle;
		CURLcode code = message->data.result; /* message goes with the handle */
		void *arg = NULL;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, &arg);
		curl_multi_remove_handle(loop->multi, easy);
		done(arg, code);
	}
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	act(arg, fd,
		(what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void watch_free(struct watch *watch)
{
	LIST_REMOVE(watch, link);
	if (watch->event)
		event_free(watch->event);
	free(watch);
}

/* Where memory is short the socket stays unwatched, and the transfer ends at its timeout: a failure
 * told here would end every transfer that there will ever be. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *of_socket)
{
	struct curl_loop *loop = arg;
	struct watch *watch = of_socket;
	short wanted = EV_PERSIST;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (watch)
			watch_free(watch);
		return 0;
	}
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch)
			return 0;
		LIST_INSERT_HEAD(&loop->watches, watch, link);
		curl_multi_assign(loop->multi, fd, watch);
	}
	if (what != CURL_POLL_OUT)
		wanted |= EV_READ;
	if (what != CURL_POLL_IN)
		wanted |= EV_WRITE;
	if (watch->event)
		event_free(watch->event);
	watch->event = event_new(loop->base, fd, wanted, on_socket, loop);
	if (watch->event)
		event_add(watch->event, NULL);
	return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct curl_loop *loop = arg;
	struct timeval delay = {
		.tv_sec = timeout_ms / 1000, .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};

	(void)multi;
	if (timeout_ms < 0)
		event_del(loop->timer);
	else
		event_add(loop->timer, &delay);
	return 0;
}

enum err curl_loop_new(struct event_base *base, long max_connections, curl_loop_done_fn *done,
	struct curl_loop **out)
{
	struct curl_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return ERR_NOMEM;
	LIST_INIT(&loop->watches);
	loop->base = base;
	loop->done = done;
	loop->timer = evtimer_new(base, on_timer, loop);
	loop->multi = curl_multi_init();
	if (!loop->timer || !loop->multi) {
		curl_loop_free(loop);
		return ERR_NOMEM;
	}
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
	curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, max_connections);
	*out = loop;
	return ERR_OK;
}

enum err curl_loop_add(struct curl_loop *loop, CURL *easy)
{
	return curl_multi_add_handle(loop->multi, easy) == CURLM_OK ? ERR_OK : ERR_NOMEM;
}

void curl_loop_remove(struct curl_loop *loop, CURL *easy)
{
	curl_multi_remove_handle(loop->multi, easy);
}

void curl_loop_free(struct curl_loop *loop)
{
	if (!loop)
		return;
	curl_multi_cleanup(loop->multi); /* it still tells us of its sockets */
	while (!LIST_EMPTY(&loop->watches))
		watch_free(LIST_FIRST(&loop->watches));
	if (loop->timer)
		event_free(loop->timer);
	free(loop);
}
