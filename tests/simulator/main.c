/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>
#include <jansson.h>

static const char help[] =
	"usage: apns-simulator --cert FILE --key FILE --app "
	"TEAM:KEYID:PUBLIC_KEY_FILE:BUNDLE[,BUNDLE]\n"
	"  --listen ADDR:PORT     default 127.0.0.1:0, a free port; printed as JSON when ready\n"
	"  --app ...              may stand several times\n"
	"  --log FILE             one JSON line a request and event; - is stdout\n"
	"  --control PATH         unix socket for commands: one JSON object a line\n"
	"  --rule JSON            how to answer some tokens; may stand several times\n"
	"  --streams N            limit after the first good request, default 1000\n"
	"  --delay-ms N           before every answer\n"
	"  --window BYTES         of a stream, default 65535; above, the connection's too\n"
	"  --receive-buffer BYTES of the sockets, with segments as small: a client that we do not\n"
	"                         read has its socket full soon\n"
	"  --environment NAME     production (default) or sandbox (adds apns-unique-id)\n"
	"  --token-min-age S      between two provider tokens of a key, default 0, Apple's is "
	"1200\n"
	"  --ping-min-ms N        between two PINGs of an idle connection, default 0\n"
	"  --strict               look into the payload even where there is no log\n"
	"  --help\n";

enum option_id {
	CERT = 256,
	KEY,
	APP,
	LISTEN,
	LOG,
	CONTROL,
	RULE,
	STREAMS,
	DELAY,
	WINDOW,
	RECEIVE_BUFFER,
	ENVIRONMENT,
	TOKEN_AGE,
	PING,
	STRICT,
	HELP
};

static const struct option options[] = {
	{"cert", required_argument, NULL, CERT},
	{"key", required_argument, NULL, KEY},
	{"app", required_argument, NULL, APP},
	{"listen", required_argument, NULL, LISTEN},
	{"log", required_argument, NULL, LOG},
	{"control", required_argument, NULL, CONTROL},
	{"rule", required_argument, NULL, RULE},
	{"streams", required_argument, NULL, STREAMS},
	{"delay-ms", required_argument, NULL, DELAY},
	{"window", required_argument, NULL, WINDOW},
	{"receive-buffer", required_argument, NULL, RECEIVE_BUFFER},
	{"environment", required_argument, NULL, ENVIRONMENT},
	{"token-min-age", required_argument, NULL, TOKEN_AGE},
	{"ping-min-ms", required_argument, NULL, PING},
	{"strict", no_argument, NULL, STRICT},
	{"help", no_argument, NULL, HELP},
	{0},
};

static bool number_read(const char *text, int64_t max, int64_t *out)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < 0 || value > max)
		return false;
	*out = value;
	return true;
}

static bool rule_read(struct sim *sim, const char *text, char *why, size_t why_size)
{
	json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	bool good = false;

	if (json_is_object(json))
		good = sim_rule_add(sim, json, why, why_size) == ERR_OK;
	else
		snprintf(why, why_size, "not a JSON object: %s", text);
	json_decref(json);
	return good;
}

struct start {
	const char *cert, *key, *log, *control;
};

/* Takes one option. False with why where its value is bad. */
static bool option_take(struct sim *sim, struct start *start, enum option_id id, const char *value,
	char *why, size_t why_size)
{
	int64_t number;

	snprintf(why, why_size, "bad value: %s", value ? value : "");
	switch (id) {
	case CERT:
		start->cert = value;
		return true;
	case KEY:
		start->key = value;
		return true;
	case APP:
		return sim_add_app(sim, value, why, why_size) == ERR_OK;
	case LISTEN:
		snprintf(sim->address, sizeof(sim->address), "%s", value);
		return true;
	case LOG:
		start->log = value;
		return true;
	case CONTROL:
		start->control = value;
		return true;
	case RULE:
		return rule_read(sim, value, why, why_size);
	case STREAMS:
		if (!number_read(value, INT32_MAX, &number))
			return false;
		sim->tuning.streams = (uint32_t)number;
		return true;
	case DELAY:
		return number_read(value, 3600000, &sim->tuning.fault.delay_ms);
	case WINDOW:
		if (!number_read(value, NGHTTP2_MAX_WINDOW_SIZE, &number))
			return false;
		sim->tuning.fault.window = (uint32_t)number;
		return true;
	case RECEIVE_BUFFER:
		return number_read(value, INT32_MAX, &sim->receive_buffer_bytes);
	case ENVIRONMENT:
		sim->sandbox = strcmp(value, "sandbox") == 0;
		return sim->sandbox || strcmp(value, "production") == 0;
	case TOKEN_AGE:
		return number_read(value, 86400, &sim->token_min_age_s);
	case PING:
		return number_read(value, 86400000, &sim->ping_min_ms);
	case STRICT:
		sim->strict = true;
		return true;
	case HELP:
		break;
	}
	return false;
}

/* -1 to go on, else the exit status. */
static int options_read(struct sim *sim, struct start *start, int argc, char **argv)
{
	char why[256];
	int id;

	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (id == HELP) {
			fputs(help, stdout);
			return 0;
		}
		if (id == '?')
			return 2;
		if (!option_take(sim, start, (enum option_id)id, optarg, why, sizeof(why))) {
			fprintf(stderr, "apns-simulator: %s\n", why);
			return 2;
		}
	}
	if (optind < argc || !start->cert || !start->key) {
		fputs(help, stderr);
		return 2;
	}
	return -1;
}

static int start(struct sim *sim, const struct start *start)
{
	const char *what = NULL;
	enum err err;

	if ((err = sim_load_certificate(sim, start->cert, start->key)))
		what = start->cert;
	else if (start->log && (err = sim_journal_open(sim, start->log)))
		what = start->log;
	else if (start->control && (err = sim_control_open(sim, start->control)))
		what = start->control;
	else if ((err = sim_listen(sim)))
		what = sim->address;
	if (err)
		fprintf(stderr, "apns-simulator: %s: %s\n", what, err_string(err));
	return err ? 1 : 0;
}

static void on_signal(evutil_socket_t signal, short what, void *arg)
{
	(void)signal, (void)what;
	event_base_loopbreak(arg);
}

static void run(struct sim *sim)
{
	struct event term, interrupt;

	evsignal_assign(&term, sim->base, SIGTERM, on_signal, sim->base);
	evsignal_assign(&interrupt, sim->base, SIGINT, on_signal, sim->base);
	evsignal_add(&term, NULL);
	evsignal_add(&interrupt, NULL);
	printf("{\"listening\":\"%s\"}\n", sim->address);
	fflush(stdout);
	while (event_base_loop(sim->base, EVLOOP_ONCE) == 0 && !event_base_got_break(sim->base))
		sim_journal_flush(sim);
	event_del(&term);
	event_del(&interrupt);
}

int main(int argc, char **argv)
{
	struct sim sim = {.address = "127.0.0.1:0",
		.tuning = {.streams = 1000,
			.alpn = "h2",
			.fault.window = NGHTTP2_INITIAL_WINDOW_SIZE}};
	struct start begin = {0};
	int status;

	STAILQ_INIT(&sim.apps);
	STAILQ_INIT(&sim.rules);
	LIST_INIT(&sim.conns);
	LIST_INIT(&sim.spare);
	signal(SIGPIPE, SIG_IGN);
	status = options_read(&sim, &begin, argc, argv);
	if (status >= 0) {
		sim_free(&sim);
		return status;
	}
	sim.initial = sim.tuning;
	sim.base = event_base_new();
	if (sim.base)
		sim_answer_init(&sim);
	status = sim.base ? start(&sim, &begin) : 1;
	if (!status)
		run(&sim);
	sim_free(&sim);
	return status;
}
