/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_MAP_H
#define PBXPUSH_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>

/*
 * A hash table of nodes that live inside the caller's structs (chained). It grows by doubling, a
 * little with each node that is added, so that no call of map_add() takes long.
 * Keys come from strangers, so the hash is SipHash-1-3 under a random seed of the process.
 * The map owns no node and no key.
 */
struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **buckets;
	size_t count, mask;
	/* While it grows: the smaller table, whose buckets from `moved` on still hold their
	 * nodes. */
	struct map_node **old;
	size_t old_mask, moved;
};

/* True when the node has this key. */
typedef bool map_equal_fn(const struct map_node *node, const void *key, size_t len);

/* Hash of a key under the process's seed. The same in every map. */
uint64_t map_hash(const void *key, size_t len);

enum err map_init(struct map *map);

/* Makes an empty map as large as so many nodes need, so that it does not grow on the way. Memory
 * that is never used costs nothing; without it the map grows as ever. */
void map_reserve(struct map *map, size_t nodes);

/* Frees the table itself; the nodes are the caller's. Accepts a zeroed map. */
void map_free(struct map *map);

/* Adds a node under the hash of its key. Equal keys may stand side by side. Never fails: when the
 * table cannot grow, its chains do. */
void map_add(struct map *map, struct map_node *node, uint64_t hash);

void map_remove(struct map *map, struct map_node *node);

struct map_node *map_find(const struct map *map, const void *key, size_t len, map_equal_fn *equal);

/* The next node with the same key after `node`, or NULL. */
struct map_node *map_find_next(
	const struct map_node *node, const void *key, size_t len, map_equal_fn *equal);

/* Walks all nodes: start with NULL, ends with NULL. Nothing may be added meanwhile, and removing
 * the node returned last is not allowed before the next one was asked for. */
struct map_node *map_next(const struct map *map, const struct map_node *node);

/*
 * A step of a walk that takes its time: calls fn for the nodes of one bucket, which fn may remove,
 * and moves *at on. *at is 0 at the beginning, and again at the end. Between two steps anything
 * may happen to the map: what is in it all the while is seen exactly once.
 */
void map_walk(const struct map *map, uint64_t *at, void (*fn)(void *arg, struct map_node *node),
	void *arg);

/* The struct around a node. */
#define map_entry(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
