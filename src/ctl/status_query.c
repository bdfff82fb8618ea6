/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include <jansson.h>

#include <pbxpush/ctl/arguments.h>
#include <pbxpush/ctl/http.h>
#include <pbxpush/ctl/print.h>

#include "client.h"
#include "status_query.h"

#define TIMEOUT_MS 10000

typedef void print_fn(struct buf *out, const json_t *json, bool colour);

/* GETs target into *answer (inside data). EXIT_GO_ON, or EXIT_UNAVAILABLE with why. */
static enum exit_code get(const struct arguments *arguments, const char *target, struct buf *data,
	struct http_answer *answer, char *why, size_t why_size)
{
	int64_t timeout_ms = arguments->timeout_ms ? arguments->timeout_ms : TIMEOUT_MS;
	enum err err = http_get(arguments->status_path, target, timeout_ms, data, answer);

	if (!err)
		return EXIT_GO_ON;
	client_explain(arguments->status_path, err, why, why_size);
	return EXIT_UNAVAILABLE;
}

/* The body as it came, or through print. EXIT_UNAVAILABLE with why where it is no JSON object. */
static enum exit_code show(const struct arguments *arguments, const struct http_answer *answer,
	print_fn *print, struct buf *out, char *why, size_t why_size)
{
	json_t *json = NULL;

	if (print && !arguments->json) {
		json = json_loadb(answer->body, answer->body_len, 0, NULL);
		if (!json_is_object(json)) {
			json_decref(json);
			client_explain(arguments->status_path, ERR_PROTOCOL, why, why_size);
			return EXIT_UNAVAILABLE;
		}
		print(out, json, arguments->colour);
		json_decref(json);
		return EXIT_GO_ON;
	}
	buf_add(out, answer->body, answer->body_len);
	if (answer->body_len && answer->body[answer->body_len - 1] != '\n')
		buf_add_char(out, '\n');
	return EXIT_GO_ON;
}

static enum exit_code query(const struct arguments *arguments, const char *target, print_fn *print,
	struct buf *out, char *why, size_t why_size)
{
	struct buf data = {0};
	struct http_answer answer;
	enum exit_code code = get(arguments, target, &data, &answer, why, why_size);

	if (code == EXIT_GO_ON && answer.status == 200) {
		code = show(arguments, &answer, print, out, why, why_size);
	} else if (code == EXIT_GO_ON) {
		snprintf(why, why_size, "%s: GET %s: status %d", arguments->status_path, target,
			answer.status);
		code = EXIT_REFUSED;
	}
	buf_free(&data);
	return code;
}

static void print_object(struct buf *out, const json_t *json, bool colour)
{
	(void)colour;
	print_members(out, json);
}

enum exit_code status_query_status(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	return query(arguments, "/status", print_object, out, why, why_size);
}

enum exit_code status_query_calls(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	return query(arguments, "/calls", print_object, out, why, why_size);
}

enum exit_code status_query_metrics(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	return query(arguments, "/metrics", NULL, out, why, why_size);
}

enum exit_code status_query_explain(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	struct buf target = {0};
	enum exit_code code;

	buf_add_str(&target, "/calls/");
	http_encode_segment(arguments->argument, &target);
	code = query(arguments, buf_str(&target), print_timeline, out, why, why_size);
	if (code == EXIT_REFUSED)
		snprintf(why, why_size,
			"%s: not among the calls of the last hour (nor a uuid of one)",
			arguments->argument);
	buf_free(&target);
	return code;
}

static void print_health(struct buf *out, const json_t *json, bool colour)
{
	print_coloured(out, colour, "32", "healthy");
	buf_add_char(out, '\n');
	if (json_object_size(json) > 1)
		print_members(out, json);
}

static void print_sickness(struct buf *out, const json_t *json, bool colour)
{
	print_coloured(out, colour, "31", "not healthy");
	buf_add_char(out, '\n');
	print_members(out, json);
}

enum exit_code status_query_health(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	struct buf data = {0};
	struct http_answer answer;
	enum exit_code code = get(arguments, "/health", &data, &answer, why, why_size);
	bool healthy = code == EXIT_GO_ON && answer.status == 200;

	if (code == EXIT_GO_ON && !healthy && answer.status != 503) {
		snprintf(why, why_size, "%s: GET /health: status %d", arguments->status_path,
			answer.status);
		code = EXIT_REFUSED;
	} else if (code == EXIT_GO_ON) {
		code = show(arguments, &answer, healthy ? print_health : print_sickness, out, why,
			why_size);
		if (code == EXIT_GO_ON && !healthy)
			code = EXIT_REJECT;
	}
	buf_free(&data);
	return code;
}
