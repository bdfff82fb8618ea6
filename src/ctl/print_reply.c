/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/call.h>
#include <pbxpush/ctl/print.h>

/* What a dialplan makes of each verdict, and the colour in which a person sees it. */
static const struct {
	enum exit_code code;
	const char *sgr, *words;
} verdicts[] = {
	[VERDICT_PUSH] = {EXIT_GO_ON, "32", "the phone is being woken, wait for its REGISTER"},
	[VERDICT_REGISTERED] = {EXIT_GO_ON, "32", "a device is there, send the INVITE now"},
	[VERDICT_REJECT] = {EXIT_REJECT, "33", "this user must not ring"},
	[VERDICT_UNREACHABLE] = {EXIT_UNREACHABLE, "31", "nothing can be woken"},
	[VERDICT_ENDED] = {EXIT_UNREACHABLE, "33", "the call is over"},
};
#define VERDICT_COUNT (sizeof(verdicts) / sizeof(verdicts[0]))

static const char *const rules[] = {
	[RULE_NONE] = "",
	[RULE_BLOCKED] = "the caller is on a block list",
	[RULE_ANONYMOUS] = "the caller withholds the number",
	[RULE_DND] = "do-not-disturb is on",
	[RULE_DND_SCHEDULE] = "the do-not-disturb schedule holds",
	[RULE_BUSY] = "the user is in a call and has no call waiting",
	[RULE_PBX_DND] = "the PBX says do-not-disturb",
	[RULE_PBX_BLOCKED] = "the PBX says blocked",
	[RULE_NO_DEVICE] = "the user has no device",
	[RULE_DEAD_TOKEN] = "the push service no longer knows the user's devices",
	[RULE_PUSH_FAILED] = "no push reached the push service",
	[RULE_NO_REGISTER] = "no device registered in time",
	[RULE_OVERLOADED] = "the daemon has too many calls",
	[RULE_STALE] = "its deadline had passed when the event came",
	[RULE_ANSWERED] = "it was answered",
	[RULE_CANCELLED] = "the caller hung up",
	[RULE_DECLINED] = "it was declined",
	[RULE_TIMEOUT] = "nobody answered",
	[RULE_COMPLETED] = "it was answered, and has ended",
	[RULE_MUTED] = "the conversation is muted",
};

/* VERDICT_COUNT for none, and for one of a newer daemon. */
static size_t verdict_of(const json_t *reply)
{
	const char *name = json_string_value(json_object_get(reply, "verdict"));
	size_t verdict = 0;

	while (name && verdict < VERDICT_COUNT && strcmp(name, verdict_name((enum verdict)verdict)))
		verdict++;
	return name ? verdict : VERDICT_COUNT;
}

static const char *rule_words(const char *name)
{
	for (size_t i = RULE_BLOCKED; name && i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (!strcmp(name, rule_name((enum rule)i)))
			return rules[i];
	}
	return NULL;
}

enum exit_code print_reply_exit_code(const json_t *reply)
{
	size_t verdict = verdict_of(reply);

	if (!json_is_true(json_object_get(reply, "ok")))
		return EXIT_REFUSED;
	return verdict < VERDICT_COUNT ? verdicts[verdict].code : EXIT_GO_ON;
}

/* Behind a verdict: `: do-not-disturb is on (dnd)`; words stand where the rule has none. */
static void print_rule(struct buf *out, const json_t *rule, const char *words)
{
	const char *own = rule_words(json_string_value(rule));

	if (own || words) {
		buf_add_str(out, ": ");
		buf_add_str(out, own ? own : words);
	}
	if (json_is_string(rule)) {
		buf_add_str(out, " (");
		print_value(out, "rule", rule);
		buf_add_char(out, ')');
	}
	buf_add_char(out, '\n');
}

static void print_verdict(struct buf *out, const json_t *reply, bool colour)
{
	size_t verdict = verdict_of(reply);
	bool known = verdict < VERDICT_COUNT;

	print_coloured(out, colour, known ? verdicts[verdict].sgr : "1",
		json_string_value(json_object_get(reply, "verdict")));
	print_rule(out, json_object_get(reply, "rule"), known ? verdicts[verdict].words : NULL);
}

/* Of what is no call a rule says why nothing was sent. */
static void print_news(struct buf *out, const json_t *rule, bool colour)
{
	bool sent = json_is_null(rule);

	print_coloured(out, colour, sent ? "32" : "33", sent ? "sent" : "not sent");
	print_rule(out, rule, NULL);
}

/* The members that the first line does not tell. */
static json_t *rest_of(const json_t *reply)
{
	static const char *const told[] = {"ok", "event", "verdict", "rule"};
	json_t *rest = json_copy((json_t *)reply); /* shallow; reads only */

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
		json_object_del(rest, told[i]);
	return rest;
}

/* A change of policy or of the directory: the reply says little, but that it is on disk. */
static bool is_change(enum event_type type)
{
	return event_spec(type)->admin && type != EVENT_SHOW;
}

/* ---- `show '*'` ---- */

static int compare_entries(const void *a, const void *b)
{
	return strcmp(
		json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* An entry a line, sorted: there may be thousands. */
static void print_entries(struct buf *out, const char *title, const json_t *list)
{
	size_t i, count = 0, size = json_array_size(list);
	const json_t **entries = size ? calloc(size, sizeof(const json_t *)) : NULL;
	const json_t *entry;

	if (size && !entries) {
		out->failed = true;
		return;
	}
	json_array_foreach(list, i, entry)
	{
		if (json_is_string(entry))
			entries[count++] = entry;
	}
	if (count)
		qsort(entries, count, sizeof(const json_t *), compare_entries);
	buf_printf(out, "%s: %zu\n", title, count);
	for (i = 0; i < count; i++) {
		buf_add_str(out, "  ");
		print_value(out, title, entries[i]);
		buf_add_char(out, '\n');
	}
	free(entries);
}

/* `*` and `*@domain` are no users: they have lists and nothing else. */
static bool is_everyone(const char *user)
{
	return user && user[0] == '*' && (user[1] == '\0' || user[1] == '@');
}

static void print_lists_of_everyone(struct buf *out, const json_t *reply)
{
	print_entries(out, "blocked", json_object_get(reply, "blocks"));
	print_entries(out, "allowed", json_object_get(reply, "allows"));
}

void print_reply(struct buf *out, enum event_type type, const json_t *reply, bool colour)
{
	json_t *rest;

	if (type == EVENT_SHOW && is_everyone(json_string_value(json_object_get(reply, "user")))) {
		print_lists_of_everyone(out, reply);
		return;
	}
	rest = rest_of(reply);
	if (json_is_string(json_object_get(reply, "verdict")))
		print_verdict(out, reply, colour);
	else if (json_object_get(reply, "rule"))
		print_news(out, json_object_get(reply, "rule"), colour);
	else if (type == EVENT_PING)
		buf_add_str(out, "pong\n");
	else if (is_change(type) || !json_object_size(rest))
		buf_add_str(out, "done\n");
	if (json_object_size(rest))
		print_members(out, rest);
	json_decref(rest);
}
