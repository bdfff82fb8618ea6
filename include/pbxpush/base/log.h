/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_LOG_H
#define PBXPUSH_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * The log: one line a record on stderr, `LEVEL module: text`. Under systemd (JOURNAL_STREAM is set)
 * the line begins with the priority prefix of sd-daemon(3) and no time; elsewhere with a UTC time.
 *
 * Text may hold what a stranger sent, so control characters leave as `?`; a record can never
 * forge a second one. Callers keep secrets out: no key, no JWT, tokens as 8 characters.
 * Safe to call from any thread.
 */
enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

void log_set_level(enum log_level level);

/* True when a record of this level would be written: guards work done only for the log. */
bool log_enabled(enum log_level level);

/*
 * From now on the records of this thread that tell of normal work (info, debug) are held back until
 * log_flush(), a graver record or 16 KiB of them, and written at once: one call a busy turn of the
 * loop. wanted(arg) runs with the first one held: log_flush() is to follow soon. What kills the
 * process in between takes them along. NULL ends it.
 */
void log_hold(void (*wanted)(void *arg), void *arg);
void log_flush(void);

/* A record whose text the caller has made without printf: one is written for every call. */
void log_text(enum log_level level, const char *module, const char *text, size_t len);

void log_error(const char *module, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warning(const char *module, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_notice(const char *module, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_info(const char *module, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_debug(const char *module, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
