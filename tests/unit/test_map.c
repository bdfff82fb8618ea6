/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/map.h>
#include <pbxpush/base/siphash.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ITEMS        1000

struct item {
	struct map_node node;
	char key[24];
	int serial;
	bool seen;
};

static bool item_equal(const struct map_node *node, const void *key, size_t len)
{
	const struct item *item = map_entry(node, struct item, node);

	return strlen(item->key) == len && !memcmp(item->key, key, len);
}

static struct item *item_find(const struct map *map, const char *key)
{
	struct map_node *node = map_find(map, key, strlen(key), item_equal);

	return node ? map_entry(node, struct item, node) : NULL;
}

static void item_add(struct map *map, struct item *item)
{
	map_add(map, &item->node, map_hash(item->key, strlen(item->key)));
}

static struct item *items_new(struct map *map)
{
	struct item *items = calloc(ITEMS, sizeof(*items));

	assert_non_null(items);
	assert_int_equal(map_init(map), ERR_OK);
	for (int i = 0; i < ITEMS; i++) {
		items[i].serial = i;
		snprintf(items[i].key, sizeof(items[i].key), "user-%d", i);
		item_add(map, &items[i]);
	}
	return items;
}

/* Computed by CPython's own SipHash-1-3, but for the first (CPython hashes nothing to 0). */
static void test_siphash(void **state)
{
	static const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const struct {
		size_t len;
		uint64_t hash;
	} rows[] = {
		{0, 0xabac0158050fc4dc},
		{1, 0xc9f49bf37d57ca93},
		{7, 0xd3927d989bb11140},
		{8, 0x369095118d299a8e},
		{9, 0x25a48eb36c063de4},
		{15, 0xd320d86d2a519956},
		{16, 0xcc4fdd1a7d908b66},
		{63, 0x9d199062b7bbb3a8},
	};
	unsigned char input[64];

	(void)state;
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (unsigned char)i;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(siphash13(key, input, rows[i].len), rows[i].hash);
}

static void test_add_find_remove(void **state)
{
	struct map map;
	struct item *items = items_new(&map);

	(void)state;
	assert_int_equal(map.count, ITEMS);
	for (int i = 0; i < ITEMS; i++)
		assert_ptr_equal(item_find(&map, items[i].key), &items[i]);
	assert_null(item_find(&map, "user-1000"));
	assert_null(item_find(&map, ""));

	for (int i = 0; i < ITEMS; i += 2)
		map_remove(&map, &items[i].node);
	map_remove(&map, &items[0].node); /* twice is harmless */
	assert_int_equal(map.count, ITEMS / 2);
	for (int i = 0; i < ITEMS; i++)
		assert_ptr_equal(item_find(&map, items[i].key), i % 2 ? &items[i] : NULL);
	map_free(&map);
	free(items);
}

static void test_equal_keys(void **state)
{
	struct item same[3] = {
		{.key = "k", .serial = 1}, {.key = "k", .serial = 2}, {.key = "k", .serial = 4}};
	struct map map;
	int serials = 0, found = 0;

	(void)state;
	assert_int_equal(map_init(&map), ERR_OK);
	for (int i = 0; i < 3; i++)
		item_add(&map, &same[i]);
	for (struct map_node *node = map_find(&map, "k", 1, item_equal); node;
		node = map_find_next(node, "k", 1, item_equal)) {
		serials += map_entry(node, struct item, node)->serial;
		found++;
	}
	assert_int_equal(serials, 7);
	assert_int_equal(found, 3);
	map_free(&map);
}

static void test_walk(void **state)
{
	struct map map;
	struct item *items = items_new(&map);
	int count = 0;

	(void)state;
	for (struct map_node *node = map_next(&map, NULL), *next; node; node = next) {
		next = map_next(&map, node);
		struct item *item = map_entry(node, struct item, node);
		assert_false(item->seen);
		item->seen = true;
		count++;
		map_remove(&map, node);
	}
	assert_int_equal(count, ITEMS);
	assert_int_equal(map.count, 0);
	map_free(&map);
	free(items);
}

/* Finds everything while some buckets are still in the smaller table, and loses nothing that is
 * taken out or walked just then. */
static void test_while_growing(void **state)
{
	static struct item items[300];
	struct map map;
	bool grew = false;

	(void)state;
	assert_int_equal(map_init(&map), ERR_OK);
	for (int i = 0; i < 300; i++) {
		snprintf(items[i].key, sizeof(items[i].key), "user-%d", i);
		item_add(&map, &items[i]);
		if (i % 7 == 3)
			map_remove(&map, &items[i].node);
		grew |= map.old != NULL;
		size_t walked = 0;
		for (struct map_node *node = map_next(&map, NULL); node;
			node = map_next(&map, node))
			walked++;
		assert_int_equal(walked, map.count);
		for (int j = 0; j <= i; j++)
			assert_ptr_equal(
				item_find(&map, items[j].key), j % 7 == 3 ? NULL : &items[j]);
	}
	assert_true(grew);
	map_free(&map);
}

struct walk {
	struct map *map;
	int seen[3 * ITEMS];
};

static void see_item(void *arg, struct map_node *node)
{
	struct walk *walk = arg;
	struct item *item = map_entry(node, struct item, node);

	walk->seen[item->serial]++;
	if (item->serial % 5 == 0) /* the walker may take out what it is shown */
		map_remove(walk->map, node);
}

/* A slow walk while the table doubles twice: what was there from the first to the last step is
 * seen once, what was not is seen at most once. */
static void test_slow_walk(void **state)
{
	struct map map;
	struct item *items = calloc(3 * ITEMS, sizeof(*items));
	struct walk *walk = calloc(1, sizeof(*walk));
	uint64_t at = 0;
	int added = 50, steps = 0;

	(void)state;
	assert_non_null(items);
	assert_non_null(walk);
	walk->map = &map;
	assert_int_equal(map_init(&map), ERR_OK);
	for (int i = 0; i < 3 * ITEMS; i++) {
		items[i].serial = i;
		snprintf(items[i].key, sizeof(items[i].key), "user-%d", i);
	}
	for (int i = 0; i < added; i++)
		item_add(&map, &items[i]);
	do {
		map_walk(&map, &at, see_item, walk);
		for (int i = 0; i < 3 && added < 3 * ITEMS; i++)
			item_add(&map, &items[added++]);
		assert_true(++steps < 100000);
	} while (at);
	assert_true(added > 200); /* the table did double meanwhile */
	for (int i = 0; i < 3 * ITEMS; i++)
		assert_true(i < 50 ? walk->seen[i] == 1 : walk->seen[i] <= 1);
	map_free(&map);
	free(items);
	free(walk);
}

static void test_zeroed(void **state)
{
	struct map map = {0};

	(void)state;
	assert_null(map_find(&map, "k", 1, item_equal));
	assert_null(map_next(&map, NULL));
	map_free(&map);
	map_free(&map);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_add_find_remove),
		cmocka_unit_test(test_equal_keys),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_while_growing),
		cmocka_unit_test(test_slow_walk),
		cmocka_unit_test(test_zeroed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
