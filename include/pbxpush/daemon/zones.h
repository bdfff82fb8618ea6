/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_DAEMON_ZONES_H
#define PBXPUSH_DAEMON_ZONES_H

#include <pbxpush/base/err.h>
#include <pbxpush/core/zone.h>

/* The time zones in use, each read once from the machine's TZif files (tzdata). TZ and tzset() are
 * global to the process, so they are left alone. */
struct zones;

enum err zones_new(struct zones **out);
void zones_free(struct zones *zones);

/* The zone of this IANA name, NULL where the machine has none. Borrowed until zones_free(). The
 * first use of a name reads a local file of a few kilobytes. */
const struct zone *zones_get(void *zones, const char *name);

#endif
