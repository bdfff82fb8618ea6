/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/map.h>
#include <pbxpush/base/siphash.h>

#define MAP_FIRST 16

static uint64_t map_seed[2];
static pthread_once_t map_seed_once = PTHREAD_ONCE_INIT;

static void map_make_seed(void)
{
	/* 16 bytes come at once or not at all (getrandom(2)). A sandbox that forbids the call leaves
	 * us a hash that can be guessed: slower under attack, never wrong. */
	if (getrandom(map_seed, sizeof(map_seed), 0) != (ssize_t)sizeof(map_seed)) {
		map_seed[0] = (uint64_t)clock_mono_us();
		map_seed[1] = (uint64_t)(uintptr_t)&map_seed;
	}
}

uint64_t map_hash(const void *key, size_t len)
{
	pthread_once(&map_seed_once, map_make_seed);
	return siphash13(map_seed, key, len);
}

enum err map_init(struct map *map)
{
	struct map_node **buckets = calloc(MAP_FIRST, sizeof(struct map_node *));

	if (!buckets)
		return ERR_NOMEM;
	*map = (struct map){.buckets = buckets, .mask = MAP_FIRST - 1};
	return ERR_OK;
}

void map_free(struct map *map)
{
	free(map->buckets);
	*map = (struct map){0};
}

static void map_link(struct map_node **buckets, size_t mask, struct map_node *node)
{
	struct map_node **bucket = &buckets[node->hash & mask];

	node->next = *bucket;
	*bucket = node;
}

static void map_grow(struct map *map)
{
	size_t mask = map->mask * 2 + 1;
	struct map_node **buckets = calloc(mask + 1, sizeof(struct map_node *));

	if (!buckets)
		return;
	for (size_t i = 0; i <= map->mask; i++) {
		struct map_node *next;
		for (struct map_node *node = map->buckets[i]; node; node = next) {
			next = node->next;
			map_link(buckets, mask, node);
		}
	}
	free(map->buckets);
	map->buckets = buckets;
	map->mask = mask;
}

void map_add(struct map *map, struct map_node *node, uint64_t hash)
{
	if (map->count > map->mask)
		map_grow(map);
	node->hash = hash;
	map_link(map->buckets, map->mask, node);
	map->count++;
}

void map_remove(struct map *map, struct map_node *node)
{
	if (!map->count)
		return;
	struct map_node **at = &map->buckets[node->hash & map->mask];
	while (*at && *at != node)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = node->next;
	node->next = NULL;
	map->count--;
}

static struct map_node *map_search(
	struct map_node *node, uint64_t hash, const void *key, size_t len, map_equal_fn *equal)
{
	while (node && !(node->hash == hash && equal(node, key, len)))
		node = node->next;
	return node;
}

struct map_node *map_find(const struct map *map, const void *key, size_t len, map_equal_fn *equal)
{
	if (!map->count)
		return NULL;
	uint64_t hash = map_hash(key, len);
	return map_search(map->buckets[hash & map->mask], hash, key, len, equal);
}

struct map_node *map_find_next(
	const struct map_node *node, const void *key, size_t len, map_equal_fn *equal)
{
	return map_search(node->next, node->hash, key, len, equal);
}

struct map_node *map_next(const struct map *map, const struct map_node *node)
{
	if (!map->count)
		return NULL;
	if (node && node->next)
		return node->next;
	for (size_t i = node ? (node->hash & map->mask) + 1 : 0; i <= map->mask; i++)
		if (map->buckets[i])
			return map->buckets[i];
	return NULL;
}
