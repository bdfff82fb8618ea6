/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_ALERT_H
#define PBXPUSH_CORE_ALERT_H

#include "payload_body.h"

/* Makes an alert of the body of a call: it rings on the lock screen where there is no CallKit. */
void alert_of_call(struct body *body);

/*
 * Appends the `aps` of an alert. The plain texts serve apps that know nothing of us, the keys those
 * that translate: KEY and KEY_TITLE, whose arguments are the count (where there is one), the name
 * and the text, and for the title the name. `mutable-content` wakes the app's service extension.
 */
void alert_write(const struct body *body, struct buf *out);

#endif
