/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "process_metrics.h"

static void write_metric(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s ", name, help, name, type, name);
}

static void write_cpu(struct buf *out)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return;
	long long us = (long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
		       usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	write_metric(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.");
	buf_printf(out, "%lld.%06lld\n", us / 1000000, us % 1000000);
}

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = -1;

	if (fd >= 0) {
		len = read(fd, text, size - 1);
		close(fd);
	}
	text[len > 0 ? len : 0] = '\0';
	return len > 0;
}

/* Seconds between the epoch and the boot, from /proc/stat, whose first lines (one a CPU) may be
 * long. */
static long long boot_time_s(void)
{
	FILE *file = fopen("/proc/stat", "re");
	char line[1024];
	long long btime = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "btime %lld", &btime) == 1)
			break;
	if (file)
		fclose(file);
	return btime;
}

static void write_stat(struct buf *out)
{
	char text[1024], *fields;
	unsigned long long start_ticks, virtual_bytes;
	long resident_pages, ticks_s = sysconf(_SC_CLK_TCK), page_bytes = sysconf(_SC_PAGESIZE);
	long long boot_s = boot_time_s();

	/* The second field is the program's name and may hold anything: count from its end. */
	if (!read_file("/proc/self/stat", text, sizeof(text)) || !(fields = strrchr(text, ')')))
		return;
	if (sscanf(fields,
		    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
		    "%llu %llu %ld",
		    &start_ticks, &virtual_bytes, &resident_pages) != 3)
		return;
	write_metric(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.");
	buf_printf(out, "%llu\n", virtual_bytes);
	write_metric(out, "process_resident_memory_bytes", "gauge", "Resident memory.");
	buf_printf(out, "%lld\n", (long long)resident_pages * page_bytes);
	if (!boot_s || ticks_s <= 0)
		return;
	write_metric(out, "process_start_time_seconds", "gauge", "Start, in Unix time.");
	buf_printf(out, "%.2f\n", (double)boot_s + (double)start_ticks / (double)ticks_s);
}

static void write_fds(struct buf *out)
{
	DIR *dir = opendir("/proc/self/fd");
	struct rlimit limit;
	long long count = 0;

	if (dir) {
		for (struct dirent *entry; (entry = readdir(dir));)
			count += entry->d_name[0] != '.';
		closedir(dir);
		write_metric(out, "process_open_fds", "gauge", "Open file descriptors.");
		buf_printf(out, "%lld\n", count - 1); /* without the directory itself */
	}
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	write_metric(out, "process_max_fds", "gauge", "How many may be open.");
	if (limit.rlim_cur == RLIM_INFINITY)
		buf_add_str(out, "+Inf\n");
	else
		buf_printf(out, "%llu\n", (unsigned long long)limit.rlim_cur);
}

void process_metrics_write(struct buf *out)
{
	write_cpu(out);
	write_stat(out);
	write_fds(out);
}
