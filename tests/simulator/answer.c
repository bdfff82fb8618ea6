/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>
#include <openssl/rand.h>
#include <pbxpush/base/clock.h>
#include <pbxpush/base/map.h>
#include <pbxpush/core/uuid.h>

#define GARBAGE_BODY_BYTES   1048576
#define GARBAGE_HEADERS      100
#define GARBAGE_HEADER_BYTES 1000
#define HEADERS_MAX          (GARBAGE_HEADERS + 8)
#define TOKEN_SIZE           513

static void random_uuid(char out[UUID_SIZE])
{
	uint8_t random[16] = {0};

	RAND_bytes(random, sizeof(random));
	uuid_random(random, out);
}

static const char *date_header(const struct sim_conn *conn)
{
	struct sim *sim = conn->sim;
	time_t now = (time_t)(sim_wall_ms(conn) / 1000);
	struct tm tm;

	if (now != sim->date_s) {
		sim->date_s = now;
		strftime(sim->date, sizeof(sim->date), "%a, %d %b %Y %H:%M:%S GMT",
			gmtime_r(&now, &tm));
	}
	return sim->date;
}

static ssize_t answer_read(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t size,
	uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct sim_request *request = source->ptr;
	size_t left = request->answer_len - request->answer_sent;
	size_t n = left < size ? left : size;

	(void)session, (void)stream_id, (void)arg;
	if (request->body_withheld)
		return NGHTTP2_ERR_DEFERRED;
	if (request->garbage == SIM_GARBAGE_BODY)
		memset(data, 'x', n);
	else
		memcpy(data, request->answer + request->answer_sent, n);
	request->answer_sent += n;
	if (n == left)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

static void answer_body(struct sim_request *request)
{
	size_t size = sizeof(request->answer);
	int len = 0;

	switch (request->garbage) {
	case SIM_GARBAGE_BODY:
		request->answer_len = GARBAGE_BODY_BYTES;
		return;
	case SIM_GARBAGE_JSON:
		len = snprintf(request->answer, size, "<html>\"reason\":{{\xff Bad Gateway</html>");
		break;
	case SIM_CLEAN:
	case SIM_GARBAGE_HEADERS:
	case SIM_GARBAGE_FRAMES:
		if (request->status == 200)
			break;
		len = request->timestamp_ms < 0
			      ? snprintf(request->answer, size, "{\"reason\":\"%s\"}",
					request->reason)
			      : snprintf(request->answer, size,
					"{\"reason\":\"%s\",\"timestamp\":%lld}", request->reason,
					(long long)request->timestamp_ms);
		break;
	}
	request->answer_len = (size_t)len;
}

static nghttp2_nv header(const char *name, const char *value, uint8_t flags)
{
	/* nghttp2 copies the value, and writes to neither. */
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
		.flags = (uint8_t)(flags | NGHTTP2_NV_FLAG_NO_COPY_NAME)};
}

static void respond(struct sim_request *request)
{
	struct sim_conn *conn = request->conn;
	struct sim *sim = conn->sim;
	nghttp2_nv nv[HEADERS_MAX];
	char status[8], unique[UUID_SIZE], retry_after[24], filler[GARBAGE_HEADER_BYTES + 1];
	size_t n = 0;
	nghttp2_data_provider body = {.source.ptr = request, .read_callback = answer_read};

	if (request->status == 200) {
		sim->stats.accepted++;
		if (!conn->raised) {
			conn->raised = true;
			sim_session_set_limit(conn, conn->full_limit);
		}
	}
	snprintf(status, sizeof(status), "%d", request->status);
	nv[n++] = header(":status", status, NGHTTP2_NV_FLAG_NONE);
	nv[n++] = header("apns-id", request->apns_id, NGHTTP2_NV_FLAG_NO_INDEX);
	nv[n++] = header("date", date_header(conn), NGHTTP2_NV_FLAG_NONE);
	if (sim->sandbox) {
		random_uuid(unique);
		nv[n++] = header("apns-unique-id", unique, NGHTTP2_NV_FLAG_NO_INDEX);
	}
	if (request->retry_after_s >= 0) {
		snprintf(retry_after, sizeof(retry_after), "%lld",
			(long long)request->retry_after_s);
		nv[n++] = header("retry-after", retry_after, NGHTTP2_NV_FLAG_NONE);
	}
	if (request->garbage == SIM_GARBAGE_HEADERS) {
		memset(filler, 'x', GARBAGE_HEADER_BYTES);
		filler[GARBAGE_HEADER_BYTES] = '\0';
		for (int i = 0; i < GARBAGE_HEADERS; i++)
			nv[n++] = header("x-garbage", filler, NGHTTP2_NV_FLAG_NO_INDEX);
	}
	answer_body(request);
	nghttp2_submit_response(conn->http2, request->stream_id, nv, n,
		request->answer_len || request->body_withheld ? &body : NULL);
}

static void garbage_frames(struct sim_conn *conn)
{
	uint8_t bytes[256];

	/* Empty DATA frames on stream 0, which RFC 9113 6.1 forbids. */
	memset(bytes, 0, sizeof(bytes));
	sim_conn_write_raw(conn, bytes, sizeof(bytes));
}

/* Does what was decided. The caller pumps. */
static void give(struct sim_request *request)
{
	struct sim_conn *conn = request->conn;

	conn->fault.shy = false;
	switch (request->action) {
	case SIM_SILENT:
		return;
	case SIM_REFUSE:
		nghttp2_submit_rst_stream(
			conn->http2, NGHTTP2_FLAG_NONE, request->stream_id, NGHTTP2_REFUSED_STREAM);
		return;
	case SIM_RESET_STREAM:
		nghttp2_submit_rst_stream(
			conn->http2, NGHTTP2_FLAG_NONE, request->stream_id, request->code);
		return;
	case SIM_CLOSE:
		sim_conn_close(conn);
		return;
	case SIM_RESET:
		sim_conn_reset(conn);
		return;
	case SIM_GOAWAY:
		sim_session_goaway(conn, request->stream_id, NGHTTP2_NO_ERROR,
			request->reason[0] ? request->reason : NULL);
		request->status = 200;
		break;
	case SIM_GOAWAY_BEFORE:
		sim_session_goaway(conn, request->stream_id > 1 ? request->stream_id - 2 : 0,
			NGHTTP2_NO_ERROR, request->reason[0] ? request->reason : NULL);
		return;
	case SIM_ANSWER:
		break;
	}
	if (request->garbage == SIM_GARBAGE_FRAMES) {
		garbage_frames(conn);
		return;
	}
	if (request->body_withheld) {
		request->body_withheld = false;
		nghttp2_session_resume_data(conn->http2, request->stream_id);
	} else {
		respond(request);
	}
}

static void timer_arm(struct sim *sim)
{
	struct heap_node *first = heap_first(&sim->delayed);
	int64_t wait_us;
	struct timeval wait;

	if (!first)
		return;
	wait_us = first->due - clock_mono_us();
	if (wait_us < 0)
		wait_us = 0;
	wait = (struct timeval){.tv_sec = wait_us / 1000000, .tv_usec = wait_us % 1000000};
	evtimer_add(&sim->delay_timer, &wait);
}

static void delayed_give(evutil_socket_t fd, short what, void *arg)
{
	struct sim *sim = arg;
	struct heap_node *node;
	struct sim_conn *conn, *next;
	int64_t now_us = clock_mono_us();

	(void)fd, (void)what;
	while ((node = heap_first(&sim->delayed)) && node->due <= now_us) {
		struct sim_request *request = map_entry(node, struct sim_request, due);

		heap_remove(&sim->delayed, node);
		/* Kept from being freed under us by give(); pumped once, below. */
		request->conn->dirty = true;
		request->conn->pumping = true;
		give(request);
	}
	for (conn = LIST_FIRST(&sim->conns); conn; conn = next) {
		next = LIST_NEXT(conn, next);
		if (!conn->dirty)
			continue;
		conn->pumping = false;
		sim_conn_pump(conn);
	}
	timer_arm(sim);
}

void sim_answer_init(struct sim *sim)
{
	evtimer_assign(&sim->delay_timer, sim->base, delayed_give, sim);
}

/* The token as rules and log know it: lower case, "" where the path holds none. */
static void request_token(const struct sim_request *request, char token[TOKEN_SIZE])
{
	const char *path = sim_request_header(request, SIM_PATH);
	size_t n = 0;

	if (path && strncmp(path, "/3/device/", 10) == 0)
		for (path += 10; *path && n < TOKEN_SIZE - 1; path++)
			token[n++] = (char)tolower((unsigned char)*path);
	token[n] = '\0';
}

void sim_answer(struct sim_request *request)
{
	struct sim *sim = request->conn->sim;
	char token[TOKEN_SIZE] = "";

	sim->stats.requests++;
	request->delay_ms = request->conn->fault.delay_ms;
	request->timestamp_ms = request->retry_after_s = -1;
	sim_check(request);
	if (!request->apns_id[0])
		random_uuid(request->apns_id);
	if (request->violation)
		sim->stats.violations++;
	if (sim->journal || !STAILQ_EMPTY(&sim->rules))
		request_token(request, token);
	if (!request->violation)
		sim_rules_apply(request, token);
	if (sim->journal)
		sim_journal_request(request, token);
	if (request->headers_first) {
		request->conn->fault.shy = false;
		request->body_withheld = true;
		respond(request);
	}
	/* What follows headers takes the way of the delayed even without delay: an RST_STREAM in the
	 * same turn would take the place of the headers in nghttp2's queue. */
	if ((request->delay_ms <= 0 && !request->headers_first) ||
		heap_set(&sim->delayed, &request->due,
			clock_mono_us() + request->delay_ms * 1000) != ERR_OK) {
		give(request);
		return;
	}
	if (heap_first(&sim->delayed) == &request->due)
		timer_arm(sim);
}
