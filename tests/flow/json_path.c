/* SPDX-License-Identifier: MIT */
#include "json_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const json_t *child(const json_t *parent, const char *name, size_t len)
{
	if (json_is_array(parent))
		return json_array_get(parent, (size_t)strtoul(name, NULL, 10));
	return json_object_getn(parent, name, len);
}

static bool value_matches(const json_t *value, const char *expected)
{
	char *text, *begin;
	size_t len;
	bool same;

	if (!value || !strcmp(expected, "-"))
		return !value && !strcmp(expected, "-");
	if (!strcmp(expected, "*"))
		return !json_is_null(value);
	if (json_is_string(value))
		return !strcmp(json_string_value(value), expected);
	begin = text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	assert_non_null(text);
	len = strlen(text);
	same = len == strlen(expected) && !memcmp(begin, expected, len);
	free(text);
	return same;
}

bool json_path_matches(const json_t *root, const char *path, const char *expected)
{
	char length[24];

	while (*path) {
		size_t len = strcspn(path, ".");

		if (len == 1 && path[0] == '#') {
			snprintf(length, sizeof(length), "%zu", json_array_size(root));
			return !strcmp(length, expected);
		}
		root = child(root, path, len);
		path += len + (path[len] == '.');
	}
	return value_matches(root, expected);
}

void json_path_set(json_t *root, const char *path, json_t *value)
{
	const char *dot = strchr(path, '.');
	json_t *parent = root;

	assert_non_null(value);
	if (dot) {
		parent = json_object_getn(root, path, (size_t)(dot - path));
		if (!parent) {
			parent = json_object();
			json_object_setn_new(root, path, (size_t)(dot - path), parent);
		}
		path = dot + 1;
	}
	assert_int_equal(json_object_set_new(parent, path, value), 0);
}
