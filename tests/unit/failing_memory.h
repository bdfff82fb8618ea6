/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_FAILING_MEMORY_H
#define TESTS_UNIT_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Memory that runs short, for the programs named *_oom: the linker puts these functions between the
 * program and libc (--wrap). jansson needs json_set_alloc_funcs(__wrap_malloc, free).
 */

/* Allocations that still succeed; below zero: all do. Set by the only thread that allocates. */
static int left = -1;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static bool allowed(void)
{
	if (left < 0)
		return true;
	return left && left--;
}

void *__wrap_malloc(size_t size)
{
	return allowed() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
	return allowed() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *old, size_t size)
{
	return allowed() ? __real_realloc(old, size) : NULL;
}

#endif
