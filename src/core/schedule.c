/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/schedule.h>
#include <pbxpush/core/utf8.h>

#define DAY_MIN   (24 * 60)
#define WEEK_MIN  (7 * DAY_MIN)
#define HORIZON_S (INT64_C(5) * WEEK_MIN * 60)

static const char *const day_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/* ---- from and to JSON ---- */

/* How much of a stranger's text an error quotes; for `%.*s`. */
static int quoted(const char *text)
{
	return text ? (int)utf8_cut(text, strlen(text), 32) : 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* HH:MM of 00:00 to 24:00 in minutes, or -1. */
static int time_of(const char *text)
{
	int minutes;

	if (!text || strlen(text) != 5 || !is_digit(text[0]) || !is_digit(text[1]) ||
		text[2] != ':' || !is_digit(text[3]) || !is_digit(text[4]) || text[3] > '5')
		return -1;
	minutes =
		((text[0] - '0') * 10 + text[1] - '0') * 60 + (text[3] - '0') * 10 + text[4] - '0';
	return minutes <= DAY_MIN ? minutes : -1;
}

static enum err parse_time(const json_t *window, size_t number, const char *name, int max_min,
	uint16_t *out, struct event_error *error)
{
	const json_t *value = json_object_get(window, name);
	const char *text = json_string_value(value);
	int minutes = time_of(text);
	char field[32];

	snprintf(field, sizeof(field), "windows.%s", name);
	if (!value || json_is_null(value)) {
		event_error_set(
			error, EVENT_MISSING_FIELD, field, "window %zu has no '%s'", number, name);
		return ERR_INVAL;
	}
	if (minutes < 0 || minutes > max_min) {
		event_error_set(error, EVENT_BAD_FIELD, field,
			"'%s' of window %zu must be a time from \"00:00\" to \"%s\"%s%.*s", name,
			number, max_min == DAY_MIN ? "24:00" : "23:59", text ? ", not " : "",
			quoted(text), text ? text : "");
		return ERR_INVAL;
	}
	*out = (uint16_t)(minutes % DAY_MIN);
	return ERR_OK;
}

static int day_of(const char *name)
{
	for (int day = 0; name && day < 7; day++)
		if (!strcmp(day_names[day], name))
			return day;
	return -1;
}

static enum err parse_days(
	const json_t *window, size_t number, uint8_t *out, struct event_error *error)
{
	const json_t *days = json_object_get(window, "days"), *item;
	unsigned mask = 0;
	size_t i;

	if (!days || json_is_null(days)) {
		event_error_set(error, EVENT_MISSING_FIELD, "windows.days",
			"window %zu has no 'days'", number);
		return ERR_INVAL;
	}
	json_array_foreach(days, i, item)
	{
		const char *name = json_string_value(item);
		int day = day_of(name);

		if (day < 0) {
			event_error_set(error, EVENT_BAD_FIELD, "windows.days",
				"a day of window %zu must be one of mon tue wed thu fri sat "
				"sun%s%.*s",
				number, name ? ", not " : "", quoted(name), name ? name : "");
			return ERR_INVAL;
		}
		mask |= 1u << day;
	}
	if (!mask) {
		event_error_set(error, EVENT_BAD_FIELD, "windows.days",
			"'days' of window %zu must be an array of at least one day", number);
		return ERR_INVAL;
	}
	*out = (uint8_t)mask;
	return ERR_OK;
}

static enum err parse_window(
	const json_t *value, size_t number, struct schedule_window *out, struct event_error *error)
{
	enum err err;

	if (!json_is_object(value)) {
		event_error_set(error, EVENT_BAD_FIELD, "windows",
			"window %zu must be an object with days, from and to", number);
		return ERR_INVAL;
	}
	err = parse_days(value, number, &out->days, error);
	if (!err)
		err = parse_time(value, number, "from", DAY_MIN - 1, &out->from_min, error);
	if (!err)
		err = parse_time(value, number, "to", DAY_MIN, &out->to_min, error);
	return err;
}

static enum err parse_schedule(const char *zone_name, const json_t *windows, struct schedule *out,
	struct event_error *error)
{
	struct schedule schedule = {0};
	const json_t *value;
	size_t i;

	if (!zone_name_is_valid(zone_name)) {
		event_error_set(error, EVENT_BAD_FIELD, "timezone",
			"'timezone' must be the name of a time zone, such as Europe/Berlin");
		return ERR_INVAL;
	}
	if (!json_is_array(windows) || json_array_size(windows) > SCHEDULE_MAX_WINDOWS) {
		event_error_set(error, EVENT_BAD_FIELD, "windows",
			"'windows' must be an array of at most %d windows", SCHEDULE_MAX_WINDOWS);
		return ERR_INVAL;
	}
	json_array_foreach(windows, i, value)
	{
		/* people count from one */
		if (parse_window(value, i + 1, &schedule.windows[i], error))
			return ERR_INVAL;
	}
	schedule.count = json_array_size(windows);
	snprintf(schedule.timezone, sizeof(schedule.timezone), "%s", zone_name);
	*out = schedule;
	return ERR_OK;
}

enum err schedule_parse(
	const char *zone_name, const char *windows, struct schedule *out, struct event_error *error)
{
	json_t *root = json_loads(windows, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	enum err err = ERR_INVAL;

	if (json_is_array(root) && !json_array_size(root)) {
		*out = (struct schedule){0};
		err = ERR_OK;
	} else if (zone_name) {
		err = parse_schedule(zone_name, root, out, error);
	} else {
		event_error_set(error, EVENT_MISSING_FIELD, "timezone",
			"'dnd-schedule' needs 'timezone' for its windows");
	}
	json_decref(root);
	return err;
}

static void write_window(const struct schedule_window *window, struct buf *out)
{
	const char *comma = "";

	buf_add_str(out, "{\"days\":[");
	for (int day = 0; day < 7; day++) {
		if (!(window->days >> day & 1))
			continue;
		buf_printf(out, "%s\"%s\"", comma, day_names[day]);
		comma = ",";
	}
	buf_printf(out, "],\"from\":\"%02d:%02d\",\"to\":\"%02d:%02d\"}", window->from_min / 60,
		window->from_min % 60, window->to_min / 60, window->to_min % 60);
}

void schedule_write(const struct schedule *schedule, struct buf *out)
{
	buf_add_str(out, "{\"timezone\":");
	buf_add_json(out, schedule->timezone);
	buf_add_str(out, ",\"windows\":[");
	for (size_t i = 0; i < schedule->count; i++) {
		if (i)
			buf_add_char(out, ',');
		write_window(&schedule->windows[i], out);
	}
	buf_add_str(out, "]}");
}

enum err schedule_read(const char *text, struct schedule *out)
{
	json_error_t why = {0};
	json_t *root = json_loads(text, 0, &why);
	const char *zone_name = json_string_value(json_object_get(root, "timezone"));
	struct event_error error;
	enum err err = ERR_INVAL;

	if (zone_name)
		err = parse_schedule(zone_name, json_object_get(root, "windows"), out, &error);
	else if (!root && json_error_code(&why) == json_error_out_of_memory)
		err = ERR_NOMEM;
	json_decref(root);
	return err;
}

/* ---- the clock ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Seconds of the local week, which begins on Monday. */
static int64_t second_of_week(int64_t local_s)
{
	int64_t since_monday_s = local_s + INT64_C(3) * DAY_MIN * 60; /* 1970-01-01: a Thursday */

	return since_monday_s - floor_div(since_monday_s, WEEK_MIN * 60) * WEEK_MIN * 60;
}

static bool window_covers(const struct schedule_window *window, int minute_of_week)
{
	int day = minute_of_week / DAY_MIN, minute = minute_of_week % DAY_MIN;
	bool today = window->days >> day & 1, yesterday = window->days >> (day + 6) % 7 & 1;

	if (window->from_min < window->to_min)
		return today && minute >= window->from_min && minute < window->to_min;
	return (today && minute >= window->from_min) || (yesterday && minute < window->to_min);
}

static bool schedule_covers(const struct schedule *schedule, int64_t local_s)
{
	int minute_of_week = (int)(second_of_week(local_s) / 60);

	for (size_t i = 0; i < schedule->count; i++)
		if (window_covers(&schedule->windows[i], minute_of_week))
			return true;
	return false;
}

/* How long, by the local clock, until a window next begins or ends; 1 s to a day. */
static int64_t next_edge_s(const struct schedule *schedule, int64_t local_s)
{
	int64_t second_of_day = second_of_week(local_s) % (DAY_MIN * 60), next_s = DAY_MIN * 60;

	for (size_t i = 0; i < schedule->count * 2; i++) {
		const struct schedule_window *window = &schedule->windows[i / 2];
		int64_t edge_s = (i % 2 ? window->to_min : window->from_min) * INT64_C(60);
		int64_t ahead_s = edge_s - second_of_day;

		if (ahead_s <= 0)
			ahead_s += DAY_MIN * 60;
		if (ahead_s < next_s)
			next_s = ahead_s;
	}
	return next_s;
}

/* Walks local time from edge to edge and from one offset of the zone to the next. */
static int64_t next_change_s(
	const struct schedule *schedule, const struct zone *zone, int64_t time_s, bool holds)
{
	int64_t end_s = time_s + HORIZON_S;

	while (time_s < end_s) {
		int64_t offset_until_s, edge_s;
		int32_t offset_s = zone_offset_s(zone, time_s, &offset_until_s);

		edge_s = time_s + next_edge_s(schedule, time_s + offset_s);
		time_s = edge_s < offset_until_s ? edge_s : offset_until_s;
		offset_s = zone_offset_s(zone, time_s, NULL);
		if (schedule_covers(schedule, time_s + offset_s) != holds)
			return time_s;
	}
	return INT64_MAX;
}

bool schedule_holds(
	const struct schedule *schedule, const struct zone *zone, int64_t now_ms, int64_t *until_ms)
{
	int64_t now_s = floor_div(now_ms, 1000), change_s;
	bool holds = schedule_covers(schedule, now_s + zone_offset_s(zone, now_s, NULL));

	if (until_ms) {
		change_s = next_change_s(schedule, zone, now_s, holds);
		*until_ms = change_s == INT64_MAX ? INT64_MAX : change_s * 1000;
	}
	return holds;
}
