/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include <pbxpush/core/utf8.h>
#include <pbxpush/ctl/print.h>

/* What the daemon's words for the stations of a call mean. An unknown one stands for itself. */
static const struct {
	const char *what, *phrase;
} stations[] = {
	{"event", "the PBX announced the call"},
	{"decision", "decision"},
	{"push", "push to a phone"},
	{"skip", "no push to a phone"},
	{"push-answer", "outcome of the push"},
	{"reply", "reply to the PBX"},
	{"register", "a phone registered"},
	{"ringing", "a phone rings"},
	{"answer", "answered"},
	{"end", "ended"},
	{"deadline", "nobody answered in time"},
};

static const char *phrase_of(const char *what)
{
	for (size_t i = 0; i < sizeof(stations) / sizeof(stations[0]); i++) {
		if (!strcmp(stations[i].what, what))
			return stations[i].phrase;
	}
	return what;
}

/* 21:07:03.512 */
static void print_clock(struct buf *out, int64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		buf_printf(out, "%02d:%02d:%02d.%03d", tm.tm_hour, tm.tm_min, tm.tm_sec,
			(int)(unix_ms % 1000));
}

/* What stands elsewhere in the line, or says no more than the phrase. */
static bool is_told(const char *key)
{
	static const char *const told[] = {"at_ms", "ms", "what", "event"};

	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
		if (!strcmp(key, told[i]))
			return true;
	}
	return false;
}

/* `: device iphone, result accepted, status 200` */
static void print_details(struct buf *out, const json_t *entry)
{
	const char *key;
	json_t *value;
	bool first = true;

	json_object_foreach((json_t *)entry, key, value)
	{
		if (is_told(key) || json_is_null(value))
			continue;
		buf_add_str(out, first ? ": " : ", ");
		first = false;
		print_label(out, key);
		buf_add_char(out, ' ');
		print_value(out, key, value);
	}
}

static void print_entry(struct buf *out, const json_t *entry, bool colour)
{
	const char *what = json_string_value(json_object_get(entry, "what"));
	struct buf word = {0};

	print_clock(out, json_integer_value(json_object_get(entry, "at_ms")));
	buf_printf(out, "  %+6" JSON_INTEGER_FORMAT " ms  ",
		json_integer_value(json_object_get(entry, "ms")));
	utf8_sanitize(what ? phrase_of(what) : "?", &word);
	print_coloured(out, colour, "1", buf_str(&word));
	buf_free(&word);
	print_details(out, entry);
	buf_add_char(out, '\n');
}

void print_timeline(struct buf *out, const json_t *story, bool colour)
{
	const json_t *entries = json_object_get(story, "timeline");
	json_t *head = json_copy((json_t *)story); /* shallow */
	const json_t *entry;
	size_t i;

	json_object_del(head, "timeline");
	print_members(out, head);
	json_decref(head);
	buf_add_char(out, '\n');
	json_array_foreach(entries, i, entry) print_entry(out, entry, colour);
}
