/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/heap.h>
#include <pbxpush/base/map.h>
#include <pbxpush/base/worker.h>

#include "failing_memory.h"

static int teardown(void **state)
{
	(void)state;
	left = -1;
	return 0;
}

/* 2,600 bytes need five allocations: 256, 512, 1024, 2048, 4096. */
static void write_much(struct buf *buf)
{
	for (int i = 0; i < 100; i++) {
		buf_add_json(buf, "0123456789");
		buf_add_str(buf, "01234");
		buf_printf(buf, "%s", "56789");
		buf_add_char(buf, 'x');
		buf_add_int(buf, 123);
	}
}

static void test_buf(void **state)
{
	(void)state;
	for (int n = 0; n <= 5; n++) {
		struct buf buf = {0};
		left = n;
		write_much(&buf);
		assert_int_equal(buf.failed, n < 5);
		assert_int_equal(strlen(buf_str(&buf)), buf.len);
		/* Once it is emptied it works again, in the memory that it has. */
		buf_reset(&buf);
		left = -1;
		buf_add_str(&buf, "again");
		assert_string_equal(buf_str(&buf), "again");
		left = 0;
		char *text = buf_take(&buf);
		assert_string_equal(text, "again");
		free(text);
	}
}

static void test_buf_take(void **state)
{
	struct buf buf = {0};

	(void)state;
	left = 0;
	assert_null(buf_take(&buf));
	buf_add_str(&buf, "lost");
	assert_null(buf_take(&buf));
	assert_false(buf.failed);
}

struct item {
	struct map_node node;
	int key;
};

static bool item_equal(const struct map_node *node, const void *key, size_t len)
{
	return !memcmp(&map_entry(node, struct item, node)->key, key, len);
}

static void test_map(void **state)
{
	static struct item items[200];
	struct map map = {0};

	(void)state;
	left = 0;
	assert_int_equal(map_init(&map), ERR_NOMEM);
	assert_null(map.buckets);
	left = 2; /* the table, and one growth of it */
	assert_int_equal(map_init(&map), ERR_OK);
	for (int i = 0; i < 200; i++) {
		items[i].key = i;
		map_add(&map, &items[i].node, map_hash(&i, sizeof(i)));
	}
	assert_int_equal(map.mask, 31);
	assert_int_equal(map.count, 200);
	for (int i = 0; i < 200; i++)
		assert_ptr_equal(map_find(&map, &i, sizeof(i), item_equal), &items[i].node);
	map_free(&map);
}

static void test_heap(void **state)
{
	struct heap_node nodes[16] = {0};
	struct heap heap = {0};

	(void)state;
	left = 0;
	assert_int_equal(heap_set(&heap, &nodes[0], 1), ERR_NOMEM);
	assert_int_equal(nodes[0].index, 0);
	assert_null(heap_first(&heap));
	left = 1;
	for (int i = 0; i < 15; i++)
		assert_int_equal(heap_set(&heap, &nodes[i], 100 - i), ERR_OK);
	assert_int_equal(heap_set(&heap, &nodes[15], 1), ERR_NOMEM);
	assert_int_equal(nodes[15].index, 0);
	assert_ptr_equal(heap_first(&heap), &nodes[14]);
	assert_int_equal(heap_set(&heap, &nodes[3], 0), ERR_OK); /* a move needs no memory */
	assert_ptr_equal(heap_first(&heap), &nodes[3]);
	heap_free(&heap);
}

static void count_up(void *arg)
{
	++*(int *)arg;
}

static void test_worker(void **state)
{
	struct worker *worker = NULL;
	int runs = 0;

	(void)state;
	left = 0;
	assert_int_equal(worker_new(&worker, "test"), ERR_NOMEM);
	assert_null(worker);
	left = -1;
	assert_int_equal(worker_new(&worker, "test"), ERR_OK);
	left = 0;
	assert_int_equal(worker_submit(worker, count_up, NULL, &runs), ERR_NOMEM);
	left = -1;
	assert_int_equal(worker_submit(worker, count_up, NULL, &runs), ERR_OK);
	worker_free(worker);
	assert_int_equal(runs, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_buf, teardown),
		cmocka_unit_test_teardown(test_buf_take, teardown),
		cmocka_unit_test_teardown(test_map, teardown),
		cmocka_unit_test_teardown(test_heap, teardown),
		cmocka_unit_test_teardown(test_worker, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
