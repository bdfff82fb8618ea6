/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <pbxpush/base/log.h>
#include <pbxpush/base/scan.h>

#define LOG_RECORD_SIZE 4096
#define LOG_HELD_SIZE   (4 * LOG_RECORD_SIZE)

static const struct {
	const char *name;
	int priority; /* of syslog(3), as sd-daemon(3) wants it */
} log_levels[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARNING] = {"warning", 4},
	[LOG_LEVEL_NOTICE] = {"notice", 5},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

static atomic_int log_level = LOG_LEVEL_INFO;
static bool log_to_journal;

/* The records that a thread holds back. */
static _Thread_local struct {
	void (*wanted)(void *arg);
	void *arg;
	size_t len;
	char text[LOG_HELD_SIZE];
} log_held;

static pthread_once_t log_journal_once = PTHREAD_ONCE_INIT;

/* systemd.exec(5): JOURNAL_STREAM is inherited by whom it no longer concerns, so the device and
 * inode it names must be those of our stderr. */
static void log_find_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	uintmax_t device, inode;
	struct stat st;

	log_to_journal = stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 &&
			 !fstat(STDERR_FILENO, &st) && st.st_dev == device && st.st_ino == inode;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

static size_t log_put(char *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out, text, len);
	return len;
}

/* The time up to the second, which one second's records share. */
static const char *log_second(time_t now)
{
	static _Thread_local char stamp[sizeof("-2147483648-01-01T00:00:00")];
	static _Thread_local time_t stamped;
	struct tm tm;

	if (now != stamped && gmtime_r(&now, &tm)) {
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
		stamped = now;
	}
	return stamp;
}

/* Below 100 bytes, for a module is a word in the source. */
static size_t log_prefix(char *out, enum log_level level, const char *module)
{
	struct timespec ts;
	size_t len = 0;

	if (log_to_journal) {
		out[len++] = '<';
		out[len++] = (char)('0' + log_levels[level].priority);
		out[len++] = '>';
	} else {
		clock_gettime(CLOCK_REALTIME, &ts);
		int ms = (int)(ts.tv_nsec / 1000000);
		len += log_put(out + len, log_second(ts.tv_sec));
		out[len++] = '.';
		out[len++] = (char)('0' + ms / 100);
		out[len++] = (char)('0' + ms / 10 % 10);
		out[len++] = (char)('0' + ms % 10);
		len += log_put(out + len, "Z ");
	}
	len += log_put(out + len, log_levels[level].name);
	out[len++] = ' ';
	len += log_put(out + len, module);
	len += log_put(out + len, ": ");
	return len;
}

/* C0, DEL, and C1 in its UTF-8 form, which some terminals obey as well. */
static void log_clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (len - i >= 8) {
			uint64_t word = scan_word(text + i);
			if (!scan_has_below(word, 0x20) && !scan_has(word, 0x7f) &&
				scan_is_ascii(word)) {
				i += 7;
				continue;
			}
		}
		if (c < 0x20 || c == 0x7f)
			text[i] = '?';
		else if (c == 0xc2 && i + 1 < len && ((unsigned char)text[i + 1] & 0xe0) == 0x80)
			text[i] = text[i + 1] = '?';
	}
}

/* A pipe takes more than PIPE_BUF in parts: a signal ends it in between, and another thread's record
 * would get in (pipe(7)). */
static void log_out(const char *text, size_t len)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	int saved = errno;
	ssize_t written;

	pthread_mutex_lock(&one_at_a_time);
	for (; len; len -= (size_t)written) {
		written = write(STDERR_FILENO, text, len);
		if (written <= 0) /* a log that cannot be written has nobody left to tell */
			break;
		text += written;
	}
	pthread_mutex_unlock(&one_at_a_time);
	errno = saved;
}

void log_flush(void)
{
	if (log_held.len)
		log_out(log_held.text, log_held.len);
	log_held.len = 0;
}

void log_hold(void (*wanted)(void *arg), void *arg)
{
	log_flush();
	log_held.wanted = wanted;
	log_held.arg = arg;
}

/* One log_out() a record, or for many: lines of several threads never mix. */
static void log_end(enum log_level level, char *record, size_t len)
{
	log_clean(record, len);
	record[len++] = '\n';
	if (!log_held.wanted || level < LOG_LEVEL_INFO) {
		log_flush();
		log_out(record, len);
		return;
	}
	if (log_held.len + len > sizeof(log_held.text))
		log_flush();
	if (!log_held.len)
		log_held.wanted(log_held.arg);
	memcpy(log_held.text + log_held.len, record, len);
	log_held.len += len;
}

static void log_write(enum log_level level, const char *module, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

static void log_write(enum log_level level, const char *module, const char *fmt, va_list args)
{
	char record[LOG_RECORD_SIZE];
	const size_t room = sizeof(record) - 1; /* one for the line end */

	if (!log_enabled(level))
		return;
	pthread_once(&log_journal_once, log_find_journal);
	size_t len = log_prefix(record, level, module);
	int text = vsnprintf(record + len, room - len, fmt, args);
	if (text > 0 && (size_t)text < room - len) {
		len += (size_t)text;
	} else if (text > 0) {
		len = room;
		record[len - 3] = record[len - 2] = record[len - 1] = '.';
	}
	log_end(level, record, len);
}

void log_text(enum log_level level, const char *module, const char *text, size_t len)
{
	char record[LOG_RECORD_SIZE];
	const size_t room = sizeof(record) - 1;
	size_t prefix;

	if (!log_enabled(level))
		return;
	pthread_once(&log_journal_once, log_find_journal);
	prefix = log_prefix(record, level, module);
	if (len > room - prefix)
		len = room - prefix;
	memcpy(record + prefix, text, len);
	log_end(level, record, prefix + len);
}

#define LOG_DEFINE(verb, level)                                                                    \
	void log_##verb(const char *module, const char *fmt, ...)                                  \
	{                                                                                          \
		va_list args;                                                                      \
		va_start(args, fmt);                                                               \
		log_write(level, module, fmt, args);                                               \
		va_end(args);                                                                      \
	}

LOG_DEFINE(error, LOG_LEVEL_ERROR)
LOG_DEFINE(warning, LOG_LEVEL_WARNING)
LOG_DEFINE(notice, LOG_LEVEL_NOTICE)
LOG_DEFINE(info, LOG_LEVEL_INFO)
LOG_DEFINE(debug, LOG_LEVEL_DEBUG)
