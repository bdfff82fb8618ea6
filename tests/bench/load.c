/* SPDX-License-Identifier: MIT */
/* Load for the event socket: lines made in advance, written with so many in flight or at a fixed
 * rate, and every reply read, judged and timed. Prints one JSON object. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/clock.h>
#include <pbxpush/base/unix_socket.h>

#define LOAD_READ_BYTES  ((size_t)256 * 1024)
#define LOAD_WRITE_BYTES ((size_t)64 * 1024)
#define LOAD_SILENCE_MS  20000 /* without a reply for so long: the daemon hangs */
#define LOAD_LIFE        2001  /* lines from a call to its end (odd): more than are in flight */

struct options {
	const char *socket, *kind, *tag, *times;
	size_t count, window, users, first, ring_ms; /* ring_ms 0: the daemon's default */
	double rate; /* events a second; 0: as fast as the window allows */
};

struct load {
	struct options options;
	int fd;
	struct buf text;
	size_t *end; /* line i ends at text.data + end[i] */
	int64_t *written_us, *replied_us;
	size_t written, replied, good;
	size_t sent_bytes;
	int64_t start_us, late_us; /* late_us: the most that a line left behind its time */
	char *in;
	size_t in_len;
};

static void fail(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		fail("out of memory");
	return memory;
}

/* Jumps about: neighbours in time are no neighbours in the daemon's memory. */
static size_t user_of(const struct options *options, size_t i)
{
	return options->first + (size_t)((uint64_t)i * 2654435761U % options->users);
}

static void write_line(const struct options *options, size_t i, struct buf *text)
{
	size_t user = user_of(options, i);

	buf_printf(text, "{\"id\":%zu,", i);
	if (strcmp(options->kind, "life") == 0 && i % 2 && i < LOAD_LIFE)
		buf_add_str(text, "\"event\":\"ping\"");
	else if (strcmp(options->kind, "life") == 0 && i % 2)
		buf_printf(text, "\"event\":\"end\",\"call\":\"%s-%zu@pbx.example.com\"",
			options->tag, i - LOAD_LIFE);
	else if (strcmp(options->kind, "register") == 0)
		buf_printf(text,
			"\"event\":\"register\",\"user\":\"u%zu\",\"device\":\"phone\","
			"\"app\":\"com.example.phone\",\"token\":\"%064zx\",\"expires_s\":3600",
			user, user);
	else if (strcmp(options->kind, "show") == 0)
		buf_printf(text, "\"event\":\"show\",\"user\":\"u%zu\"", user);
	else
		buf_printf(text,
			"\"event\":\"call\",\"call\":\"%s-%zu@pbx.example.com\",\"to\":\"u%zu\","
			"\"from\":{\"number\":\"+15551230001\",\"name\":\"Alice\"}",
			options->tag, i, user);
	if (options->ring_ms && strcmp(options->kind, "call") == 0)
		buf_printf(text, ",\"ring_ms\":%zu", options->ring_ms);
	buf_add_str(text, "}\n");
}

static void prepare(struct load *load)
{
	size_t count = load->options.count;

	load->end = allocate(count, sizeof(*load->end));
	load->written_us = allocate(count, sizeof(*load->written_us));
	load->replied_us = allocate(count, sizeof(*load->replied_us));
	load->in = allocate(LOAD_READ_BYTES + 1, 1);
	for (size_t i = 0; i < count; i++) {
		write_line(&load->options, i, &load->text);
		load->end[i] = load->text.len;
	}
	if (load->text.failed)
		fail("out of memory");
}

static int64_t due_us(const struct load *load, size_t i)
{
	if (load->options.rate == 0.0)
		return load->start_us;
	return load->start_us + (int64_t)((double)i * 1e6 / load->options.rate);
}

/* How many lines may have left by now. */
static size_t allowed(const struct load *load, int64_t now_us)
{
	size_t limit = load->replied + load->options.window;
	size_t i = load->written;

	if (limit > load->options.count)
		limit = load->options.count;
	if (load->options.rate == 0.0)
		return limit;
	while (i < limit && due_us(load, i) <= now_us)
		i++;
	return i;
}

/* True where the kernel took less than there is. */
static bool write_due(struct load *load)
{
	int64_t now_us = clock_mono_us();
	size_t until = allowed(load, now_us);

	while (load->written < until) {
		size_t bytes = load->end[until - 1] - load->sent_bytes;
		if (bytes > LOAD_WRITE_BYTES)
			bytes = LOAD_WRITE_BYTES;
		ssize_t len = send(load->fd, load->text.data + load->sent_bytes, bytes,
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (len < 0 && errno == EAGAIN)
			return true;
		if (len < 0)
			fail(strerror(errno));
		load->sent_bytes += (size_t)len;
		for (; load->written < until && load->end[load->written] <= load->sent_bytes;
			load->written++) {
			int64_t late_us = now_us - due_us(load, load->written);

			load->written_us[load->written] = now_us;
			if (load->options.rate > 0.0 && late_us > load->late_us)
				load->late_us = late_us;
		}
	}
	return false;
}

/* Good is a push that was accepted, and for other events that the daemon did what it was told. */
static bool is_good(const struct load *load, size_t i, const char *line, size_t len)
{
	const char *kind = load->options.kind;
	const char *wanted = "\"ok\":true";

	if (strcmp(kind, "call") == 0 || (strcmp(kind, "life") == 0 && i % 2 == 0))
		wanted = "\"result\":\"accepted\"";
	else if (strcmp(kind, "register") == 0)
		wanted = "\"stored\":true";
	return memmem(line, len, wanted, strlen(wanted)) != NULL;
}

static void take_reply(struct load *load, const char *line, size_t len, int64_t now_us)
{
	static const char head[] = "{\"id\":";
	size_t i;

	if (len < sizeof(head) || memcmp(line, head, sizeof(head) - 1) != 0)
		fail("a reply without our id");
	i = strtoul(line + sizeof(head) - 1, NULL, 10);
	if (i >= load->written || load->replied_us[i])
		fail("a reply that nobody asked for");
	load->replied_us[i] = now_us;
	load->replied++;
	load->good += is_good(load, i, line, len);
}

static void read_replies(struct load *load)
{
	ssize_t len = recv(
		load->fd, load->in + load->in_len, LOAD_READ_BYTES - load->in_len, MSG_DONTWAIT);
	int64_t now_us = clock_mono_us();
	char *line = load->in, *end;

	if (len < 0 && errno == EAGAIN)
		return;
	if (len <= 0)
		fail("the daemon has gone");
	load->in_len += (size_t)len;
	while ((end = memchr(line, '\n', load->in_len - (size_t)(line - load->in)))) {
		take_reply(load, line, (size_t)(end - line), now_us);
		line = end + 1;
	}
	load->in_len -= (size_t)(line - load->in);
	memmove(load->in, line, load->in_len);
}

/* Sleeps until a reply comes, or the next line is due, or (blocked) the kernel takes more. */
static void wait_for_work(struct load *load, bool blocked)
{
	struct pollfd poll_fd = {.fd = load->fd, .events = blocked ? POLLIN | POLLOUT : POLLIN};
	struct timespec time = {.tv_sec = LOAD_SILENCE_MS / 1000};
	bool paced = load->options.rate > 0.0 && load->written < load->options.count &&
		     load->written < load->replied + load->options.window;

	if (paced && !blocked) {
		int64_t left_us = due_us(load, load->written) - clock_mono_us();
		if (left_us < 0)
			left_us = 0;
		time.tv_sec = left_us / 1000000;
		time.tv_nsec = left_us % 1000000 * 1000;
	}
	int ready = ppoll(&poll_fd, 1, &time, NULL);
	if (ready == 0 && !paced)
		fail("no reply");
	if (ready > 0 && poll_fd.revents & ~POLLOUT)
		read_replies(load);
}

static void run(struct load *load)
{
	load->start_us = clock_mono_us();
	while (load->replied < load->options.count)
		wait_for_work(load, write_due(load));
}

static int compare(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

static int64_t percentile(const int64_t *sorted, size_t count, size_t per_mille)
{
	size_t rank = (count * per_mille + 999) / 1000; /* nearest rank */

	return sorted[rank ? rank - 1 : 0];
}

/* A line an event: written and replied, monotonic microseconds. */
static void write_times(const struct load *load)
{
	FILE *file;

	if (!load->options.times)
		return;
	file = fopen(load->options.times, "we");
	if (!file)
		fail(strerror(errno));
	for (size_t i = 0; i < load->options.count; i++)
		fprintf(file, "%" PRId64 " %" PRId64 "\n", load->written_us[i],
			load->replied_us[i]);
	if (fclose(file))
		fail(strerror(errno));
}

static double cpu_us(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static void report(struct load *load, double spent_us)
{
	size_t count = load->options.count;
	int64_t *latency = load->replied_us, end_us = 0;

	for (size_t i = 0; i < count; i++) {
		if (load->replied_us[i] > end_us)
			end_us = load->replied_us[i];
		latency[i] = load->replied_us[i] - load->written_us[i];
	}
	qsort(latency, count, sizeof(*latency), compare);
	double seconds = (double)(end_us - load->start_us) / 1e6;
	printf("{\"count\":%zu,\"good\":%zu,\"seconds\":%.6f,\"rate\":%.1f,\"line_bytes\":%zu,"
	       "\"generator_us\":%.2f,\"late_us\":%" PRId64 ",\"p50_us\":%" PRId64
	       ",\"p99_us\":%" PRId64 ",\"p999_us\":%" PRId64 ",\"max_us\":%" PRId64 "}\n",
		count, load->good, seconds, (double)count / seconds, load->text.len / count,
		spent_us / (double)count, load->late_us, percentile(latency, count, 500),
		percentile(latency, count, 990), percentile(latency, count, 999),
		latency[count - 1]);
}

static size_t number_of(const char *text)
{
	char *end;
	size_t number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || end == text)
		fail("a number is needed");
	return number;
}

static void usage(void)
{
	fail("usage: load -s SOCKET [-k call|life|register|show] [-n COUNT] [-w IN_FLIGHT]\n"
	     "  [-r EVENTS_A_SECOND] [-u USERS] [-f FIRST_USER] [-t TAG] [-o FILE_OF_TIMES]\n"
	     "  [-l RING_MS]");
}

static struct options parse(int argc, char *argv[])
{
	struct options options = {
		.kind = "call", .tag = "bench", .count = 1000, .window = 500, .users = 1};
	int option;

	while ((option = getopt(argc, argv, "s:k:n:w:r:u:f:t:o:l:")) != -1) {
		switch (option) {
		case 's':
			options.socket = optarg;
			break;
		case 'k':
			options.kind = optarg;
			break;
		case 'n':
			options.count = number_of(optarg);
			break;
		case 'w':
			options.window = number_of(optarg);
			break;
		case 'r':
			options.rate = (double)number_of(optarg);
			break;
		case 'u':
			options.users = number_of(optarg);
			break;
		case 'f':
			options.first = number_of(optarg);
			break;
		case 't':
			options.tag = optarg;
			break;
		case 'o':
			options.times = optarg;
			break;
		case 'l':
			options.ring_ms = number_of(optarg);
			break;
		default:
			usage();
		}
	}
	if (!options.socket || optind != argc || !options.count || !options.window ||
		!options.users)
		usage();
	return options;
}

int main(int argc, char *argv[])
{
	struct load load = {.options = parse(argc, argv), .fd = -1};
	double before_us;

	if (unix_socket_connect(load.options.socket, &load.fd))
		fail("cannot connect");
	prctl(PR_SET_TIMERSLACK, 1UL); /* nanoseconds; 50 us otherwise */
	prepare(&load);
	before_us = cpu_us();
	run(&load);
	double spent_us = cpu_us() - before_us;
	write_times(&load);
	report(&load, spent_us);
	close(load.fd);
	buf_free(&load.text);
	free(load.end);
	free(load.written_us);
	free(load.replied_us);
	free(load.in);
	return 0;
}
