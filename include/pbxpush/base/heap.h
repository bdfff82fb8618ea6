/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_HEAP_H
#define PBXPUSH_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>

/*
 * A binary heap of moments: which of many things is due first. Nodes live inside the caller's
 * structs. `{0}` is an empty heap and a node that stands in none has index 0.
 */
struct heap_node {
	int64_t due; /* any unit, the same in a heap */
	size_t index;
};

struct heap_entry {
	int64_t due; /* the node's, so that comparing does not touch the node */
	struct heap_node *node;
};

struct heap {
	struct heap_entry *nodes; /* [1..count] */
	size_t count, cap;
};

void heap_free(struct heap *heap);

/* Sets when the node is due, adding it where it is new. ERR_NOMEM leaves it out. */
enum err heap_set(struct heap *heap, struct heap_node *node, int64_t due);

/* Takes the node out, where it is in. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node that is due first, or NULL. */
struct heap_node *heap_first(const struct heap *heap);

#endif
