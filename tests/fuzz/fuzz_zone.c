/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/schedule.h>
#include <pbxpush/core/zone.h>

/* Build with -fsanitize=fuzzer,address,undefined; /usr/share/zoneinfo is a good corpus. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 18 billion years. Twice that, and a zone stands still. */
#define FAR_S (INT64_C(1) << 59)

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Through the whole of what the zone says an offset holds until the moment that was named. */
static void check_walk(const struct zone *zone, int64_t time_s)
{
	for (int i = 0; i < 64 && time_s < FAR_S; i++) {
		int64_t until_s, again_s;
		int32_t offset_s = zone_offset_s(zone, time_s, &until_s);

		check(offset_s > -26 * 3600 && offset_s <= 26 * 3600);
		check(until_s > time_s);
		check(zone_offset_s(zone, until_s - 1, &again_s) == offset_s);
		check(again_s == until_s);
		time_s = until_s;
	}
}

static void check_schedule(const struct zone *zone, int64_t now_ms)
{
	static const struct schedule schedule = {
		.count = 2, .windows = {{0x41, 22 * 60, 7 * 60}, {0x10, 150, 151}}};
	int64_t until_ms;
	bool holds = schedule_holds(&schedule, zone, now_ms, &until_ms);

	check(until_ms > now_ms);
	if (until_ms < INT64_MAX)
		check(schedule_holds(&schedule, zone, until_ms, NULL) != holds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t times_s[] = {
		INT64_MIN, -FAR_S, -1, 0, 1700000000, 4102444800, FAR_S - 1};
	struct zone *zone = NULL;
	char *name = malloc(size + 1);

	check(name != NULL);
	if (size)
		memcpy(name, data, size);
	name[size] = '\0';
	if (zone_name_is_valid(name))
		check(strchr(name, '.') == NULL && name[0] != '/' && strlen(name) < ZONE_NAME_SIZE);
	free(name);
	if (zone_parse(data, size, &zone))
		return 0;
	for (size_t i = 0; i < sizeof(times_s) / sizeof(times_s[0]); i++)
		check_walk(zone, times_s[i]);
	check_schedule(zone, INT64_C(1700000000000));
	check_schedule(zone, -1);
	zone_offset_s(zone, INT64_MAX, NULL);
	zone_free(zone);
	return 0;
}
