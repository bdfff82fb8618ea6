/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <pbxpush/base/log.h>

#define LOG_RECORD_SIZE 4096

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

static int log_prefix(char *out, size_t size, enum log_level level, const char *module)
{
	struct timespec ts;
	struct tm tm;
	char stamp[32] = "";

	if (log_to_journal)
		return snprintf(out, size, "<%d>%s %s: ", log_levels[level].priority,
			log_levels[level].name, module);
	clock_gettime(CLOCK_REALTIME, &ts);
	if (gmtime_r(&ts.tv_sec, &tm))
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	return snprintf(out, size, "%s.%03ldZ %s %s: ", stamp, ts.tv_nsec / 1000000,
		log_levels[level].name, module);
}

/* C0, DEL, and C1 in its UTF-8 form, which some terminals obey as well. */
static void log_clean(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];
		if (c < 0x20 || c == 0x7f)
			text[i] = '?';
		else if (c == 0xc2 && i + 1 < len && ((unsigned char)text[i + 1] & 0xe0) == 0x80)
			text[i] = text[i + 1] = '?';
	}
}

static void log_write(enum log_level level, const char *module, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

/* One write(2) a record: lines of several threads never mix. */
static void log_write(enum log_level level, const char *module, const char *fmt, va_list args)
{
	char record[LOG_RECORD_SIZE];
	const size_t room = sizeof(record) - 1; /* one for the line end */
	int saved = errno;

	if (!log_enabled(level))
		return;
	pthread_once(&log_journal_once, log_find_journal);
	int prefix = log_prefix(record, room, level, module);
	if (prefix < 0 || (size_t)prefix >= room)
		return;
	size_t len = (size_t)prefix;
	int text = vsnprintf(record + len, room - len, fmt, args);
	if (text > 0 && (size_t)text < room - len) {
		len += (size_t)text;
	} else if (text > 0) {
		len = room;
		record[len - 3] = record[len - 2] = record[len - 1] = '.';
	}
	log_clean(record, len);
	record[len++] = '\n';
	/* A log that cannot be written has nobody left to tell. */
	ssize_t written = write(STDERR_FILENO, record, len);
	(void)written;
	errno = saved;
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
