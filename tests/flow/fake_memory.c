/* SPDX-License-Identifier: MIT */
#include "fake_memory.h"

#include <stddef.h>
#include <stdlib.h>

#include <jansson.h>

/* The directory's writer allocates in a thread of its own: that is never short. */
static _Thread_local bool is_armed;
static _Thread_local int left;
static _Thread_local bool all_fail, has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static bool fails(void)
{
	if (!is_armed)
		return false;
	if (has_failed)
		return all_fail;
	if (!left || --left)
		return false;
	has_failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

void fake_memory_start(void)
{
	json_set_alloc_funcs(malloc, free);
}

void fake_memory_fail(int nth, bool all)
{
	left = nth;
	all_fail = all;
	has_failed = false;
}

bool fake_memory_failed(void)
{
	return has_failed;
}

bool fake_memory_arm(bool armed)
{
	bool before = is_armed;

	is_armed = armed;
	return before;
}
