/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <pbxpush/base/clock.h>

struct sim_journal {
	FILE *file;
	struct buf line;
};

enum err sim_journal_open(struct sim *sim, const char *path)
{
	struct sim_journal *journal = calloc(1, sizeof(*journal));

	if (!journal)
		return ERR_NOMEM;
	journal->file = strcmp(path, "-") == 0 ? stdout : fopen(path, "ae");
	if (!journal->file) {
		free(journal);
		return ERR_IO;
	}
	sim->journal = journal;
	return ERR_OK;
}

void sim_journal_close(struct sim_journal *journal)
{
	if (!journal)
		return;
	if (journal->file == stdout)
		fflush(stdout);
	else
		fclose(journal->file);
	buf_free(&journal->line);
	free(journal);
}

void sim_journal_flush(struct sim *sim)
{
	if (sim->journal)
		fflush(sim->journal->file);
}

/* Bytes of a stranger as a JSON string; those above ASCII stand as U+0080 to U+00FF. */
static void add_bytes(struct buf *line, const char *data, size_t len)
{
	buf_add_char(line, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c < 0x20 || c > 0x7e)
			buf_printf(line, "\\u%04x", c);
		else if (c == '"' || c == '\\')
			buf_printf(line, "\\%c", c);
		else
			buf_add_char(line, (char)c);
	}
	buf_add_char(line, '"');
}

static void add_key(struct buf *line, const char *key)
{
	buf_printf(line, ",\"%s\":", key);
}

static struct buf *line_begin(struct sim_journal *journal, const struct sim_conn *conn)
{
	int64_t now_us = clock_mono_us();

	buf_reset(&journal->line);
	buf_printf(&journal->line, "{\"ms\":%lld.%03d", (long long)(now_us / 1000),
		(int)(now_us % 1000));
	if (conn) {
		add_key(&journal->line, "connection");
		buf_add_int(&journal->line, conn->number);
	}
	return &journal->line;
}

static void line_end(struct sim_journal *journal)
{
	buf_add_str(&journal->line, "}\n");
	if (!journal->line.failed)
		fwrite(journal->line.data, 1, journal->line.len, journal->file);
}

void sim_journal_event(struct sim *sim, const struct sim_conn *conn, const char *event,
	const char *detail, int64_t value)
{
	struct buf *line;

	if (!sim->journal)
		return;
	line = line_begin(sim->journal, conn);
	add_key(line, "event");
	buf_add_json(line, event);
	if (detail) {
		add_key(line, "detail");
		buf_add_json(line, detail);
	}
	if (value >= 0) {
		add_key(line, "value");
		buf_add_int(line, value);
	}
	line_end(sim->journal);
}

/* The JWT itself never stands in the log. */
static void add_jwt(struct buf *line, const struct sim_jwt *jwt)
{
	if (!jwt) {
		buf_add_str(line, "null");
		return;
	}
	buf_add_str(line, "{\"kid\":");
	add_bytes(line, jwt->kid, strlen(jwt->kid));
	add_key(line, "iss");
	add_bytes(line, jwt->iss, strlen(jwt->iss));
	add_key(line, "iat");
	buf_add_int(line, jwt->iat_s);
	add_key(line, "valid");
	buf_add_str(line, jwt->problem ? "false}" : "true}");
}

static void add_headers(struct buf *line, const struct sim_request *request)
{
	size_t jwt_at = request->known[SIM_AUTHORIZATION];

	buf_add_char(line, '{');
	for (size_t i = 0; i < request->header_count; i++) {
		const char *name = request->text.data + request->name_at[i];
		const char *value = request->text.data + request->value_at[i];

		if (i > 0)
			buf_add_char(line, ',');
		add_bytes(line, name, strlen(name));
		buf_add_char(line, ':');
		if (strcmp(name, "authorization") != 0)
			add_bytes(line, value, strlen(value));
		else
			add_jwt(line, request->value_at[i] + 1 == jwt_at ? request->jwt : NULL);
	}
	buf_add_char(line, '}');
}

static void add_payload(struct buf *line, const struct sim_request *request)
{
	json_t *json = json_loadb(request->body.data ? request->body.data : "", request->body.len,
		JSON_REJECT_DUPLICATES, NULL);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	if (text)
		buf_add_str(line, text);
	else
		add_bytes(line, request->body.data, request->body.len);
	free(text);
	json_decref(json);
}

void sim_journal_request(const struct sim_request *request, const char *token)
{
	struct sim_journal *journal = request->conn->sim->journal;
	struct buf *line = line_begin(journal, request->conn);

	add_key(line, "stream");
	buf_add_int(line, request->stream_id);
	add_key(line, "token");
	add_bytes(line, token, strlen(token));
	add_key(line, "headers");
	add_headers(line, request);
	add_key(line, "payload");
	add_payload(line, request);
	add_key(line, "payload_bytes");
	buf_add_int(line, (long long)request->body_len);
	add_key(line, "status");
	buf_add_int(line, request->status);
	add_key(line, "reason");
	buf_add_json(line, request->reason[0] ? request->reason : NULL);
	add_key(line, "action");
	buf_add_json(line, sim_action_name(request->action));
	add_key(line, "apns_id");
	buf_add_json(line, request->apns_id);
	if (request->delay_ms > 0) {
		add_key(line, "delay_ms");
		buf_add_int(line, request->delay_ms);
	}
	if (request->violation) {
		add_key(line, "violation");
		buf_add_json(line, request->violation);
	}
	line_end(journal);
}
