/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_JSON_PATH_H
#define TESTS_FLOW_JSON_PATH_H

#include <stdbool.h>

#include <jansson.h>

/*
 * Compares what stands at a dotted path (`registered.device`, `calls.0.state`, `calls.#` for the
 * length of an array) with a text: `null`, `*` for anything but null, `-` for absent, else the
 * value itself.
 */
bool json_path_matches(const json_t *root, const char *path, const char *expected);

/* Sets a member; a path of two names makes the object between. */
void json_path_set(json_t *root, const char *path, json_t *value);

#endif
