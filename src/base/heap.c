/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include <pbxpush/base/heap.h>

#define HEAP_FIRST 16

void heap_free(struct heap *heap)
{
	free(heap->nodes);
	*heap = (struct heap){0};
}

static void heap_place(struct heap *heap, size_t index, struct heap_entry entry)
{
	heap->nodes[index] = entry;
	entry.node->index = index;
}

/* Moves the node from index to where it belongs: up while it is due before its parent, then
 * down. */
static void heap_sift(struct heap *heap, size_t index, struct heap_node *node)
{
	const struct heap_entry *nodes = heap->nodes, entry = {.due = node->due, .node = node};

	while (index > 1 && entry.due < nodes[index / 2].due) {
		heap_place(heap, index, nodes[index / 2]);
		index /= 2;
	}
	for (size_t child; (child = 2 * index) <= heap->count; index = child) {
		if (child < heap->count && nodes[child + 1].due < nodes[child].due)
			child++;
		if (entry.due <= nodes[child].due)
			break;
		heap_place(heap, index, nodes[child]);
	}
	heap_place(heap, index, entry);
}

enum err heap_set(struct heap *heap, struct heap_node *node, int64_t due)
{
	if (!node->index) {
		if (heap->count + 1 >= heap->cap) { /* [0] stays empty */
			size_t cap = heap->cap ? heap->cap * 2 : HEAP_FIRST;
			struct heap_entry *nodes = realloc(heap->nodes, cap * sizeof(*nodes));
			if (!nodes)
				return ERR_NOMEM;
			heap->nodes = nodes;
			heap->cap = cap;
		}
		node->index = ++heap->count;
	} else if (node->due == due) {
		return ERR_OK;
	}
	node->due = due;
	heap_sift(heap, node->index, node);
	return ERR_OK;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	size_t index = node->index;

	if (!index)
		return;
	struct heap_node *last = heap->nodes[heap->count--].node;
	if (last != node)
		heap_sift(heap, index, last);
	node->index = 0;
}

struct heap_node *heap_first(const struct heap *heap)
{
	return heap->count ? heap->nodes[1].node : NULL;
}
