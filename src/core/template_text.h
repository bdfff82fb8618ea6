/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_TEMPLATE_TEXT_H
#define PBXPUSH_CORE_TEMPLATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include <pbxpush/core/template.h>

#include "payload_body.h"

struct template
{
	enum template_kind kind;
	json_t *root;       /* an object, checked, with `aps` */
	bool uses_data_key; /* data.KEY: the data has to be parsed */
};

/* One `${name}` or `${name|fallback}` in a string. */
struct placeholder {
	const char *name, *fallback; /* not terminated; fallback NULL: none */
	size_t name_len, fallback_len;
	const char *end; /* behind the brace */
};

/* The place of the next placeholder, NULL where there is none. out->end is NULL where it is not
 * closed. */
const char *placeholder_find(const char *text, struct placeholder *out);

/* True where there is such a placeholder in templates of this kind. */
bool placeholder_is_known(const struct placeholder *placeholder, enum template_kind kind);

/* True for data.KEY. */
bool placeholder_is_data_key(const struct placeholder *placeholder);

/* Appends the names of all placeholders of this kind. */
void placeholder_list(enum template_kind kind, struct buf *out);

/* Appends the body by this template: a body_write_fn whose arg is the template. */
void template_render(const struct body *body, const void *template, struct buf *out);

/* As body_fit(). A body for which the template has no room at all is written by `plain`. */
void template_fit(const struct template *template, struct body *body, body_write_fn *plain,
	size_t tighter_bytes, struct buf *out, bool *truncated);

#endif
