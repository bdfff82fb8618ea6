/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_TEMPLATE_H
#define PBXPUSH_CORE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>
#include <pbxpush/core/payload.h>

/* Longest text of a template; what it renders is bounded by Apple anyway. */
#define TEMPLATE_MAX_BYTES 16384

/* What a template is for decides how long the body may be and which placeholders there are. */
enum template_kind {
	TEMPLATE_VOIP,  /* payload-template: calls */
	TEMPLATE_ALERT, /* alert-template: calls in alert mode, and all of news.h but refresh */
};

/*
 * A body of one's own (CONTRACT 3): a JSON object whose strings hold placeholders. A string that is
 * exactly one, "${video}", becomes its value with its type, null where there is none; in a longer
 * string values stand as text, "" where there is none. "${caller.number|withheld}" is text in place
 * of a value that is not there. Keys are not looked at. Inside `aps`, for which Apple defines no
 * null, a member without a value is left out. Without `aps` an empty one is added.
 *
 * uuid call_id caller.name caller.number caller.uri callee video started_ms expires_ms data
 * data.KEY app device, and for alerts type title body sound interruption_level badge conversation
 * message_id text new old count duration_s at_ms state.
 * It never changes after template_compile().
 */
struct template;

/* The text of a template that we bring along: `default` `linphone` `flutter` `react-native`; NULL
 * for another name. All are for TEMPLATE_VOIP. payload_write_voip() is `default`, but leaves
 * absent data out. */
const char *template_builtin(const char *name);

/*
 * Reads a template. ERR_INVAL for what is broken: one line of what, where, and what is allowed is
 * appended to error. An alert needs `aps.alert`, without which iOS shows nothing; the rest may not
 * fill so much of the body that a call finds no room. Freed by template_free().
 */
enum err template_compile(const char *text, size_t len, enum template_kind kind,
	struct template **out, struct buf *error);

void template_free(struct template *template);

/*
 * Body of a call by a template, VoIP push or alert as the template is for, within Apple's bound and
 * call->max_bytes. What does not fit is cut as payload.h says, where `data` becomes null. A call
 * for which that does not suffice gets our own body. Appends to out (check out->failed).
 */
void template_write_call(const struct template *template, const struct payload_call *call,
	struct buf *out, bool *truncated);

#endif
