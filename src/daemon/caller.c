/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <stdio.h>
#include <string.h>

#include <pbxpush/core/utf8.h>

/* In the order of [app] caller-id. */
enum caller_id { CALLER_FULL, CALLER_NUMBER, CALLER_NONE };

/* A PBX that gives no number may give a URI that holds one. */
static const char *given_number(const struct call_event *event)
{
	bool has_uri = event->from_uri && event->from_uri[0];

	return event->from_number ? event->from_number : has_uri ? event->from_uri : NULL;
}

bool caller_key(
	const struct call_event *event, const struct number_rules *rules, char out[NUMBER_SIZE])
{
	const char *given = given_number(event);

	if (!given)
		return false;
	if (number_is_withheld(given))
		strcpy(out, "anonymous");
	else
		number_normalize(rules, given, out);
	return true;
}

/* As given, but for what could fake a call screen. */
static const char *clean(const char *given, char out[NUMBER_SIZE])
{
	struct buf text = {0};

	utf8_sanitize(given, &text);
	snprintf(out, NUMBER_SIZE, "%s", buf_str(&text));
	out[utf8_cut(buf_str(&text), text.len, NUMBER_SIZE - 1)] = '\0';
	buf_free(&text);
	return out[0] ? out : NULL;
}

/* E.164 where the rules know, else as given; of a URI the user part, where it looks like a
 * number. */
static const char *number_to_show(
	const struct call_event *event, const struct number_rules *rules, char out[NUMBER_SIZE])
{
	const char *given = given_number(event);

	if (!given || number_is_withheld(given))
		return NULL;
	number_normalize(rules, given, out);
	if (out[0] == '+' || (event->from_number && strchr(given, ':')))
		return out;
	if (event->from_number)
		return clean(given, out);
	return out[0] && out[strspn(out, "+*#0123456789")] == '\0' ? out : NULL;
}

void caller_fill(const struct call_event *event, const struct config *config,
	const struct number_rules *rules, const struct config_app *app, struct caller *out)
{
	enum caller_id shown = app ? (enum caller_id)app->caller_id : CALLER_FULL;
	const char *given = given_number(event);

	*out = (struct caller){.fallback = config->unknown_caller};
	out->withheld = given && number_is_withheld(given);
	if (out->withheld)
		out->fallback = config->anonymous_caller;
	if (shown == CALLER_NONE)
		return;
	out->number = number_to_show(event, rules, out->text);
	if (shown == CALLER_NUMBER)
		return;
	out->name = event->from_name;
	out->uri = event->from_uri;
}
