/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pbxpush/base/heap.h>

#define NODES 500
#define STEPS 20000

/* A generator of our own, so that a failure can be repeated. */
static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static void test_order(void **state)
{
	static const int64_t dues[] = {5, -3, INT64_MAX, 0, 5, INT64_MIN, 12, 1};
	static const int64_t sorted[] = {INT64_MIN, -3, 0, 1, 5, 5, 12, INT64_MAX};
	struct heap_node nodes[8] = {0};
	struct heap heap = {0};

	(void)state;
	assert_null(heap_first(&heap));
	for (int i = 0; i < 8; i++)
		assert_int_equal(heap_set(&heap, &nodes[i], dues[i]), ERR_OK);
	for (int i = 0; i < 8; i++) {
		struct heap_node *first = heap_first(&heap);
		assert_true(first->due == sorted[i]);
		heap_remove(&heap, first);
		assert_int_equal(first->index, 0);
	}
	assert_null(heap_first(&heap));
	heap_free(&heap);
}

static void test_moving_a_node(void **state)
{
	struct heap_node a = {0}, b = {0}, c = {0};
	struct heap heap = {0};

	(void)state;
	heap_set(&heap, &a, 10);
	heap_set(&heap, &b, 20);
	heap_set(&heap, &c, 30);
	heap_set(&heap, &c, 5);
	assert_ptr_equal(heap_first(&heap), &c);
	heap_set(&heap, &c, 40);
	assert_ptr_equal(heap_first(&heap), &a);
	heap_set(&heap, &a, 25);
	assert_ptr_equal(heap_first(&heap), &b);
	assert_int_equal(heap.count, 3);
	heap_remove(&heap, &b);
	heap_remove(&heap, &b); /* twice is harmless */
	assert_ptr_equal(heap_first(&heap), &a);
	assert_int_equal(heap.count, 2);
	heap_free(&heap);
}

/* Random additions, moves and removals against a plain search for the least. */
static void test_against_a_search(void **state)
{
	static struct heap_node nodes[NODES];
	struct heap heap = {0};
	uint32_t seed = 1;

	(void)state;
	for (int step = 0; step < STEPS; step++) {
		struct heap_node *node = &nodes[next_random(&seed) % NODES];
		if (next_random(&seed) % 3)
			assert_int_equal(heap_set(&heap, node, next_random(&seed) % 1000), ERR_OK);
		else
			heap_remove(&heap, node);

		size_t count = 0;
		int64_t least = INT64_MAX;
		for (int i = 0; i < NODES; i++) {
			if (!nodes[i].index)
				continue;
			count++;
			least = nodes[i].due < least ? nodes[i].due : least;
			assert_ptr_equal(heap.nodes[nodes[i].index].node, &nodes[i]);
			assert_int_equal(heap.nodes[nodes[i].index].due, nodes[i].due);
		}
		assert_int_equal(heap.count, count);
		if (count)
			assert_int_equal(heap_first(&heap)->due, least);
		else
			assert_null(heap_first(&heap));
	}
	heap_free(&heap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_moving_a_node),
		cmocka_unit_test(test_against_a_search),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
