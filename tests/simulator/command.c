/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define WHY_SIZE 256

/* What a command is told: its own value, and the whole object for the modifiers beside it. */
struct command {
	struct sim *sim;
	const json_t *value, *all;
	json_t *reply;
	char *why; /* WHY_SIZE bytes */
};

typedef bool command_fn(const struct command *command);

static bool refuse_value(const struct command *command, const char *wanted)
{
	snprintf(command->why, WHY_SIZE, "wanted: %s", wanted);
	return false;
}

static int64_t integer_or(const json_t *object, const char *key, int64_t other)
{
	const json_t *value = json_object_get(object, key);

	return json_is_integer(value) ? json_integer_value(value) : other;
}

/* `connection` chooses: a number, "open" (those that are), "new" (those to come), absent: all. */
enum chooses {
	CHOOSES_NONE = 0, /* it does not concern connections */
	CHOOSES_NEW = 1,
	CHOOSES_OPEN = 2,
	CHOOSES_ANY = CHOOSES_NEW | CHOOSES_OPEN,
};

/* A choice that the command cannot obey is refused, lest a test believe it was. */
static bool choice_is_good(const struct command *command, enum chooses allowed)
{
	const json_t *which = json_object_get(command->all, "connection");
	const char *text = json_string_value(which);

	if (!which)
		return true;
	if (text && strcmp(text, "new") == 0 && allowed & CHOOSES_NEW)
		return true;
	if (((text && strcmp(text, "open") == 0) || json_is_integer(which)) &&
		allowed & CHOOSES_OPEN)
		return true;
	snprintf(command->why, WHY_SIZE, "connection: this command %s",
		allowed == CHOOSES_NONE   ? "takes none"
		: allowed == CHOOSES_NEW  ? "is for \"new\" ones only"
		: allowed == CHOOSES_OPEN ? "is for those there are: a number, or \"open\""
					  : "takes a number, \"open\" or \"new\"");
	return false;
}

static bool selects_new(const struct command *command)
{
	const json_t *which = json_object_get(command->all, "connection");

	return !which || (json_is_string(which) && strcmp(json_string_value(which), "new") == 0);
}

static bool selects(const struct command *command, const struct sim_conn *conn)
{
	const json_t *which = json_object_get(command->all, "connection");

	if (json_is_integer(which))
		return json_integer_value(which) == conn->number;
	return !which || (json_is_string(which) && strcmp(json_string_value(which), "open") == 0);
}

/* Runs fn on the connections chosen, each of which may be gone after it. */
static void each_connection(
	const struct command *command, void (*fn)(const struct command *, struct sim_conn *))
{
	struct sim_conn *conn, *next;
	json_int_t count = 0;

	for (conn = LIST_FIRST(&command->sim->conns); conn; conn = next) {
		next = LIST_NEXT(conn, next);
		if (!selects(command, conn))
			continue;
		count++;
		conn->pumping = true;
		fn(command, conn);
		conn->pumping = false;
		sim_conn_pump(conn);
	}
	json_object_set_new(command->reply, "connections", json_integer(count));
}

static bool run_rule(const struct command *command)
{
	if (!json_is_object(command->value))
		return refuse_value(command, "an object");
	return sim_rule_add(command->sim, command->value, command->why, WHY_SIZE) == ERR_OK;
}

static bool run_clear_rules(const struct command *command)
{
	sim_rules_clear(command->sim);
	return true;
}

static void conn_limit(const struct command *command, struct sim_conn *conn)
{
	uint32_t limit = (uint32_t)json_integer_value(command->value);
	bool raised = conn->raised;

	if (json_is_true(json_object_get(command->all, "until_good")))
		conn->raised = false;
	else
		conn->full_limit = limit;
	/* Before the first good request the limit is 1, and rises to the new one. */
	if (raised && conn->state == SIM_OPEN && conn->limit != limit)
		sim_session_set_limit(conn, limit);
}

static bool run_limit(const struct command *command)
{
	json_int_t limit = json_integer_value(command->value);

	if (!json_is_integer(command->value) || limit < 0 || limit > INT32_MAX)
		return refuse_value(command, "a number of streams");
	if (selects_new(command) && !json_is_true(json_object_get(command->all, "until_good")))
		command->sim->tuning.streams = (uint32_t)limit;
	each_connection(command, conn_limit);
	return true;
}

static void conn_goaway(const struct command *command, struct sim_conn *conn)
{
	const json_t *last = json_object_get(command->value, "last_stream");
	const char *text = json_string_value(last);
	int32_t last_stream = (int32_t)integer_or(command->value, "last_stream", -1);

	if (text && strcmp(text, "max") == 0)
		last_stream = INT32_MAX;
	conn->goaway_keep = json_is_true(json_object_get(command->value, "keep"));
	if (conn->state == SIM_OPEN && conn->http2)
		sim_session_goaway(conn, last_stream,
			(uint32_t)integer_or(command->value, "code", NGHTTP2_NO_ERROR),
			json_string_value(json_object_get(command->value, "reason")));
}

static bool run_goaway(const struct command *command)
{
	if (!json_is_object(command->value))
		return refuse_value(command, "an object");
	each_connection(command, conn_goaway);
	return true;
}

static void conn_close(const struct command *command, struct sim_conn *conn)
{
	(void)command;
	sim_conn_close(conn);
}

static bool run_close(const struct command *command)
{
	each_connection(command, conn_close);
	return true;
}

static void conn_rst(const struct command *command, struct sim_conn *conn)
{
	(void)command;
	sim_conn_reset(conn);
}

static bool run_rst(const struct command *command)
{
	each_connection(command, conn_rst);
	return true;
}

static bool run_refuse(const struct command *command)
{
	if (!json_is_boolean(command->value))
		return refuse_value(command, "true or false");
	if (json_is_true(command->value)) {
		sim_listen_stop(command->sim);
		return true;
	}
	if (sim_listen(command->sim) == ERR_OK)
		return true;
	snprintf(command->why, WHY_SIZE, "cannot listen on %s", command->sim->address);
	return false;
}

static void conn_pause(const struct command *command, struct sim_conn *conn)
{
	sim_conn_pause(conn, json_is_true(command->value));
}

static void conn_no_pings(const struct command *command, struct sim_conn *conn)
{
	conn->fault.deaf_to_ping = json_is_true(command->value);
}

static void conn_no_window(const struct command *command, struct sim_conn *conn)
{
	conn->fault.no_window = json_is_true(command->value);
	if (!conn->fault.no_window && conn->http2)
		sim_session_open_window(conn);
}

static bool run_fault(const struct command *command, bool *of_new_ones,
	void (*fn)(const struct command *, struct sim_conn *))
{
	if (!json_is_boolean(command->value))
		return refuse_value(command, "true or false");
	if (selects_new(command))
		*of_new_ones = json_is_true(command->value);
	each_connection(command, fn);
	return true;
}

static bool run_pause(const struct command *command)
{
	return run_fault(command, &command->sim->tuning.fault.paused, conn_pause);
}

static bool run_no_pings(const struct command *command)
{
	return run_fault(command, &command->sim->tuning.fault.deaf_to_ping, conn_no_pings);
}

static bool run_no_window(const struct command *command)
{
	return run_fault(command, &command->sim->tuning.fault.no_window, conn_no_window);
}

static void conn_shy(const struct command *command, struct sim_conn *conn)
{
	conn->fault.shy = json_is_true(command->value);
}

static bool run_late_settings(const struct command *command)
{
	return run_fault(command, &command->sim->tuning.fault.shy, conn_shy);
}

static void conn_delay(const struct command *command, struct sim_conn *conn)
{
	conn->fault.delay_ms = json_integer_value(command->value);
}

static bool run_delay(const struct command *command)
{
	if (!json_is_integer(command->value) || json_integer_value(command->value) < 0)
		return refuse_value(command, "milliseconds");
	if (selects_new(command))
		command->sim->tuning.fault.delay_ms = json_integer_value(command->value);
	each_connection(command, conn_delay);
	return true;
}

static void conn_skew(const struct command *command, struct sim_conn *conn)
{
	conn->fault.clock_skew_s = json_integer_value(command->value);
}

static bool run_skew(const struct command *command)
{
	if (!json_is_integer(command->value))
		return refuse_value(command, "seconds");
	if (selects_new(command))
		command->sim->tuning.fault.clock_skew_s = json_integer_value(command->value);
	each_connection(command, conn_skew);
	return true;
}

static void conn_window(const struct command *command, struct sim_conn *conn)
{
	uint32_t window = (uint32_t)json_integer_value(command->value);

	if (conn->state == SIM_OPEN && conn->http2)
		sim_session_set_window(conn, window);
	else
		conn->fault.window = window;
}

static bool run_window(const struct command *command)
{
	json_int_t window = json_integer_value(command->value);

	if (!json_is_integer(command->value) || window < 0 || window > NGHTTP2_MAX_WINDOW_SIZE)
		return refuse_value(command, "bytes");
	if (selects_new(command))
		command->sim->tuning.fault.window = (uint32_t)window;
	each_connection(command, conn_window);
	return true;
}

static bool run_alpn(const struct command *command)
{
	const char *alpn = json_string_value(command->value);

	if (!alpn || strlen(alpn) >= sizeof(command->sim->tuning.alpn))
		return refuse_value(command, "a protocol name, or \"\" for none");
	strcpy(command->sim->tuning.alpn, alpn);
	return true;
}

static bool run_certificate(const struct command *command)
{
	const char *cert = json_string_value(json_object_get(command->value, "cert"));
	const char *key = json_string_value(json_object_get(command->value, "key"));

	if (!cert || !key)
		return refuse_value(command, "{\"cert\":FILE,\"key\":FILE}");
	if (sim_load_certificate(command->sim, cert, key) == ERR_OK)
		return true;
	snprintf(command->why, WHY_SIZE, "cannot use %s with %s", cert, key);
	return false;
}

static bool run_app(const struct command *command)
{
	const char *spec = json_string_value(command->value);

	if (!spec)
		return refuse_value(command, "\"TEAM:KEYID:PUBLIC_KEY_FILE:BUNDLE[,BUNDLE]\"");
	return sim_add_app(command->sim, spec, command->why, WHY_SIZE) == ERR_OK;
}

static bool run_stats(const struct command *command)
{
	const struct sim_stats *stats = &command->sim->stats;
	json_t *list = json_array();
	struct sim_conn *conn;

	LIST_FOREACH (conn, &command->sim->conns, next) {
		json_array_append_new(list,
			json_pack("{s:I,s:s,s:i,s:i,s:I,s:b}", "connection",
				(json_int_t)conn->number, "state", sim_conn_state_name(conn->state),
				"streams", (int)conn->open, "limit", (int)conn->limit, "requests",
				(json_int_t)conn->requests_seen, "resumed", conn->resumed));
	}
	json_object_set_new(command->reply, "connections", json_integer(stats->connections));
	json_object_set_new(command->reply, "requests", json_integer(stats->requests));
	json_object_set_new(command->reply, "accepted", json_integer(stats->accepted));
	json_object_set_new(command->reply, "violations", json_integer(stats->violations));
	json_object_set_new(command->reply, "pings", json_integer(stats->pings));
	json_object_set_new(command->reply, "tokens", json_integer(stats->tokens));
	json_object_set_new(command->reply, "resumed", json_integer(stats->resumed));
	json_object_set_new(command->reply, "max_streams", json_integer(stats->max_streams));
	json_object_set_new(command->reply, "open", list);
	return true;
}

static void conn_well(const struct command *command, struct sim_conn *conn)
{
	if (conn->fault.no_window && conn->http2)
		sim_session_open_window(conn);
	sim_conn_pause(conn, false);
	if (conn->fault.window != command->sim->initial.fault.window && conn->http2)
		sim_session_set_window(conn, command->sim->initial.fault.window);
	conn->fault = command->sim->initial.fault;
}

static bool run_reset(const struct command *command)
{
	struct sim *sim = command->sim;

	sim_rules_clear(sim);
	sim->tuning = sim->initial;
	sim->stats = (struct sim_stats){0};
	each_connection(command, conn_well);
	return sim_listen(sim) == ERR_OK;
}

static const struct {
	const char *name;
	command_fn *run;
	enum chooses chooses;
} commands[] = {
	{"rule", run_rule, CHOOSES_NONE},
	{"clear_rules", run_clear_rules, CHOOSES_NONE},
	{"limit", run_limit, CHOOSES_ANY},
	{"goaway", run_goaway, CHOOSES_OPEN},
	{"close", run_close, CHOOSES_OPEN},
	{"rst", run_rst, CHOOSES_OPEN},
	{"refuse", run_refuse, CHOOSES_NEW},
	{"pause", run_pause, CHOOSES_ANY},
	{"ignore_pings", run_no_pings, CHOOSES_ANY},
	{"stall_window", run_no_window, CHOOSES_ANY},
	{"late_settings", run_late_settings, CHOOSES_ANY},
	{"delay_ms", run_delay, CHOOSES_ANY},
	{"clock_skew_s", run_skew, CHOOSES_ANY},
	{"window", run_window, CHOOSES_ANY},
	{"alpn", run_alpn, CHOOSES_NEW},
	{"certificate", run_certificate, CHOOSES_NEW},
	{"app", run_app, CHOOSES_NONE},
	{"stats", run_stats, CHOOSES_NONE},
	{"reset", run_reset, CHOOSES_NONE},
};

char *sim_command(struct sim *sim, const char *line, size_t len)
{
	char why[WHY_SIZE] = "unknown command", *text;
	json_t *all = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	json_t *reply = json_object();
	bool good = false;

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		const json_t *value = json_object_get(all, commands[i].name);
		struct command command = {sim, value, all, reply, why};

		if (!value)
			continue;
		why[0] = '\0';
		good = choice_is_good(&command, commands[i].chooses) && commands[i].run(&command);
		break;
	}
	sim_journal_event(sim, NULL, "control", all ? line : "not JSON", -1);
	json_object_set_new(reply, "ok", json_boolean(good));
	if (!good)
		json_object_set_new(reply, "error", json_string(why));
	text = json_dumps(reply, JSON_COMPACT);
	json_decref(reply);
	json_decref(all);
	return text;
}
