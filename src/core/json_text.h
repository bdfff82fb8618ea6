/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_JSON_TEXT_H
#define PBXPUSH_CORE_JSON_TEXT_H

#include <stddef.h>

#include <pbxpush/base/buf.h>

/*
 * What JSON says word for word, for what is passed on unchanged: a number that goes through a
 * double loses digits (RFC 8259 6).
 *
 * Appends the value of a member of an object, without the blanks between its tokens; of several
 * members of a name the last one, as jansson takes it. text is valid JSON, its root an object.
 * Nothing is appended where the name does not stand there, or stands there with escapes.
 */
void json_text_member(const char *text, size_t len, const char *name, struct buf *out);

#endif
