/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_STATUS_PROCESS_METRICS_H
#define PBXPUSH_STATUS_PROCESS_METRICS_H

#include <pbxpush/base/buf.h>

/* The process_* metrics that every Prometheus client library has, under the same names. What the
 * system does not tell (no /proc) is left out. */
void process_metrics_write(struct buf *out);

#endif
