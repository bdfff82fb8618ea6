/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/zone.h>

#include <stdlib.h>
#include <string.h>

#include "zone_rule.h"

#define HEADER_BYTES 44
#define TYPE_BYTES   6
/* RFC 8536 3.2 bounds an offset so. */
#define OFFSET_MIN_S (-89999)
#define OFFSET_MAX_S 93599
/* 36 billion years either way: beyond it rules no longer apply, so that no sum overflows. */
#define TIME_MAX_S   (INT64_C(1) << 60)

struct transition {
	int64_t at_s;
	int32_t offset_s; /* from then on */
};

struct zone {
	int32_t first_s; /* offset before the first transition */
	bool has_rule;   /* for what comes after the last one */
	struct zone_rule rule;
	size_t count;
	struct transition transitions[];
};

/* One of the two data blocks of a file (RFC 8536 3): where its parts begin, all inside the file. */
struct block {
	size_t time_count, type_count, char_count, leap_count;
	size_t time_bytes; /* 4 in the first block, 8 in the second */
	const uint8_t *times, *indices, *types;
	const uint8_t *end; /* behind the block */
};

static uint32_t read_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Two's complement without the implementation's own idea of a conversion. */
static int64_t read_i32(const uint8_t *at)
{
	int64_t value = read_u32(at);

	return value > INT32_MAX ? value - (INT64_C(1) << 32) : value;
}

static int64_t read_i64(const uint8_t *at)
{
	int64_t high = read_i32(at);

	/* -2^31 * 2^32 is INT64_MIN: this cannot overflow. */
	return high * (INT64_C(1) << 32) + (int64_t)read_u32(at + 4);
}

/* Finds the parts of the block at data; false where it does not lie inside. */
static bool block_find(const uint8_t *data, size_t len, size_t time_bytes, struct block *out)
{
	size_t ut_count, std_count, bytes;

	if (len < HEADER_BYTES || memcmp(data, "TZif", 4) != 0)
		return false;
	ut_count = read_u32(data + 20);
	std_count = read_u32(data + 24);
	*out = (struct block){
		.leap_count = read_u32(data + 28),
		.time_count = read_u32(data + 32),
		.type_count = read_u32(data + 36),
		.char_count = read_u32(data + 40),
		.time_bytes = time_bytes,
	};
	/* Each one below the length, which is below 64 KiB: the sum cannot overflow. */
	if (ut_count > len || std_count > len || out->leap_count > len || out->time_count > len ||
		out->type_count > len || out->char_count > len)
		return false;
	bytes = out->time_count * (time_bytes + 1) + out->type_count * TYPE_BYTES +
		out->char_count + out->leap_count * (time_bytes + 4) + std_count + ut_count;
	if (bytes > len - HEADER_BYTES)
		return false;
	out->times = data + HEADER_BYTES;
	out->indices = out->times + out->time_count * time_bytes;
	out->types = out->indices + out->time_count;
	out->end = data + HEADER_BYTES + bytes;
	return true;
}

/* The offset of a local time type. The rest of it says how the clock is called, which nobody
 * asks. */
static bool block_offset(const struct block *block, size_t type, int32_t *out)
{
	int64_t offset_s;

	if (type >= block->type_count)
		return false;
	offset_s = read_i32(block->types + type * TYPE_BYTES);
	if (offset_s < OFFSET_MIN_S || offset_s > OFFSET_MAX_S)
		return false;
	*out = (int32_t)offset_s;
	return true;
}

static enum err zone_from_block(const struct block *block, struct zone **out)
{
	struct zone *zone;

	if (block->leap_count)
		return ERR_INVAL;
	zone = calloc(1, sizeof(*zone) + block->time_count * sizeof(zone->transitions[0]));
	if (!zone)
		return ERR_NOMEM;
	zone->count = block->time_count;
	if (!block_offset(block, 0, &zone->first_s))
		goto broken;
	for (size_t i = 0; i < zone->count; i++) {
		struct transition *transition = &zone->transitions[i];
		const uint8_t *at = block->times + i * block->time_bytes;

		transition->at_s = block->time_bytes == 8 ? read_i64(at) : read_i32(at);
		if (i && transition->at_s <= transition[-1].at_s)
			goto broken;
		if (!block_offset(block, block->indices[i], &transition->offset_s))
			goto broken;
	}
	*out = zone;
	return ERR_OK;
broken:
	free(zone);
	return ERR_INVAL;
}

/* The footer: a TZ string between two new-lines, perhaps empty. */
static enum err zone_read_footer(struct zone *zone, const uint8_t *footer, size_t len)
{
	const uint8_t *end;
	char text[128];
	enum err err;

	if (!len || footer[0] != '\n')
		return ERR_INVAL;
	end = memchr(footer + 1, '\n', len - 1);
	if (!end || (size_t)(end - footer) > sizeof(text))
		return ERR_INVAL;
	len = (size_t)(end - footer) - 1;
	if (!len)
		return ERR_OK;
	memcpy(text, footer + 1, len);
	text[len] = '\0';
	if (strlen(text) != len)
		return ERR_INVAL;
	err = zone_rule_parse(text, &zone->rule);
	zone->has_rule = err == ERR_OK;
	return err;
}

enum err zone_parse(const void *data, size_t len, struct zone **out)
{
	const uint8_t *bytes = data, *end = bytes + len;
	struct zone *zone = NULL;
	struct block block;
	bool is_v1;
	enum err err;

	if (len > ZONE_FILE_MAX_BYTES)
		return ERR_LIMIT;
	if (!block_find(bytes, len, 4, &block))
		return ERR_INVAL;
	is_v1 = bytes[4] == '\0';
	if (!is_v1 && bytes[4] < '2')
		return ERR_INVAL;
	/* From version 2 on the first block is for old readers and says less. */
	if (!is_v1 && !block_find(block.end, (size_t)(end - block.end), 8, &block))
		return ERR_INVAL;
	err = zone_from_block(&block, &zone);
	if (!err && !is_v1)
		err = zone_read_footer(zone, block.end, (size_t)(end - block.end));
	if (err)
		zone_free(zone);
	else
		*out = zone;
	return err;
}

void zone_free(struct zone *zone)
{
	free(zone);
}

/* How many transitions have happened at time_s. */
static size_t zone_passed(const struct zone *zone, int64_t time_s)
{
	size_t low = 0, high = zone->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (zone->transitions[middle].at_s <= time_s)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int32_t zone_offset_s(const struct zone *zone, int64_t time_s, int64_t *until_s)
{
	size_t passed = zone_passed(zone, time_s);
	int64_t next_s = passed < zone->count ? zone->transitions[passed].at_s : INT64_MAX;
	int32_t offset_s = passed ? zone->transitions[passed - 1].offset_s : zone->first_s;

	if (passed == zone->count && zone->has_rule) {
		int64_t asked_s = time_s < -TIME_MAX_S ? -TIME_MAX_S : time_s;

		asked_s = asked_s > TIME_MAX_S ? TIME_MAX_S : asked_s;
		offset_s = zone_rule_offset_s(&zone->rule, asked_s, &next_s);
		if (time_s > asked_s)
			next_s = INT64_MAX;
	}
	if (until_s)
		*until_s = next_s;
	return offset_s;
}

bool zone_name_is_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_+-";
	size_t word;

	if (strlen(name) >= ZONE_NAME_SIZE)
		return false;
	for (;; name += word + 1) {
		word = strspn(name, allowed);
		if (!word)
			return false;
		if (name[word] != '/')
			return name[word] == '\0';
	}
}
