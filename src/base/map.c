/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include <pbxpush/base/clock.h>
#include <pbxpush/base/map.h>
#include <pbxpush/base/siphash.h>

#define MAP_FIRST 16
/* Buckets taken along with each node that is added. */
#define MAP_MOVED 2

static uint64_t map_seed[2];
static pthread_once_t map_seed_once = PTHREAD_ONCE_INIT;

static void map_make_seed(void)
{
	/* 16 bytes come at once or not at all (getrandom(2)). A sandbox that forbids the call
	 * leaves us a hash that can be guessed: slower under attack, never wrong. */
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

void map_reserve(struct map *map, size_t nodes)
{
	size_t mask = map->mask;
	struct map_node **buckets;

	while (mask + 1 < nodes)
		mask = mask * 2 + 1;
	if (map->count || mask == map->mask)
		return;
	buckets = calloc(mask + 1, sizeof(struct map_node *));
	if (!buckets)
		return;
	map_free(map);
	*map = (struct map){.buckets = buckets, .mask = mask};
}

void map_free(struct map *map)
{
	free(map->buckets);
	free(map->old);
	*map = (struct map){0};
}

/* The one bucket where nodes of this hash are. */
static struct map_node **map_bucket(const struct map *map, uint64_t hash)
{
	if (map->old && (hash & map->old_mask) >= map->moved)
		return &map->old[hash & map->old_mask];
	return &map->buckets[hash & map->mask];
}

static void map_link(struct map_node **bucket, struct map_node *node)
{
	node->next = *bucket;
	*bucket = node;
}

/* The next doubling is as many nodes away as the old table has buckets: this one is done by
 * then. */
static void map_move(struct map *map)
{
	struct map_node *next;

	for (int i = 0; i < MAP_MOVED && map->old; i++) {
		struct map_node *node = map->old[map->moved++];
		for (; node; node = next) {
			next = node->next;
			map_link(map_bucket(map, node->hash), node);
		}
		if (map->moved <= map->old_mask)
			continue;
		free(map->old);
		map->old = NULL;
	}
	/* What the next call moves lies anywhere in memory: it is on its way by then. */
	for (size_t i = map->moved; map->old && i < map->moved + MAP_MOVED && i <= map->old_mask;
		i++)
		__builtin_prefetch(map->old[i]);
}

static void map_grow(struct map *map)
{
	size_t mask = map->mask * 2 + 1;
	struct map_node **buckets = calloc(mask + 1, sizeof(struct map_node *));

	if (!buckets)
		return;
	map->old = map->buckets;
	map->old_mask = map->mask;
	map->moved = 0;
	map->buckets = buckets;
	map->mask = mask;
}

void map_add(struct map *map, struct map_node *node, uint64_t hash)
{
	if (map->count > map->mask && !map->old)
		map_grow(map);
	map_move(map);
	node->hash = hash;
	map_link(map_bucket(map, hash), node);
	map->count++;
}

void map_remove(struct map *map, struct map_node *node)
{
	if (!map->count)
		return;
	struct map_node **at = map_bucket(map, node->hash);
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
	return map_search(*map_bucket(map, hash), hash, key, len, equal);
}

struct map_node *map_find_next(
	const struct map_node *node, const void *key, size_t len, map_equal_fn *equal)
{
	return map_search(node->next, node->hash, key, len, equal);
}

/* The first node in buckets [from, mask]. */
static struct map_node *map_first(struct map_node *const *buckets, size_t from, size_t mask)
{
	for (size_t i = from; i <= mask; i++)
		if (buckets[i])
			return buckets[i];
	return NULL;
}

/* First what still is in the old table, then the new one. */
struct map_node *map_next(const struct map *map, const struct map_node *node)
{
	struct map_node *found = NULL;
	size_t old = map->moved, new = 0;

	if (!map->count)
		return NULL;
	if (node && node->next)
		return node->next;
	if (node && map->old && (node->hash & map->old_mask) >= map->moved) {
		old = (node->hash & map->old_mask) + 1;
	} else if (node) {
		old = map->old_mask + 1;
		new = (node->hash & map->mask) + 1;
	}
	if (map->old)
		found = map_first(map->old, old, map->old_mask);
	return found ? found : map_first(map->buckets, new, map->mask);
}

static uint64_t bits_reverse(uint64_t x)
{
	x = (x & 0x5555555555555555) << 1 | (x >> 1 & 0x5555555555555555);
	x = (x & 0x3333333333333333) << 2 | (x >> 2 & 0x3333333333333333);
	x = (x & 0x0f0f0f0f0f0f0f0f) << 4 | (x >> 4 & 0x0f0f0f0f0f0f0f0f);
	return __builtin_bswap64(x);
}

/*
 * Counts bucket numbers up from their highest bit. When the table doubles, a bucket becomes two
 * that differ in a new highest bit, so they are neighbours in this order: what was walked stays
 * walked.
 */
void map_walk(const struct map *map, uint64_t *at, void (*fn)(void *arg, struct map_node *node),
	void *arg)
{
	struct map_node **bucket = map_bucket(map, *at), *next;
	bool is_old = map->old && bucket == &map->old[*at & map->old_mask];
	uint64_t mask = is_old ? map->old_mask : map->mask;

	for (struct map_node *node = *bucket; node; node = next) {
		next = node->next;
		fn(arg, node);
	}
	*at = bits_reverse(bits_reverse(*at | ~mask) + 1);
}
