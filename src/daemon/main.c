/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <pbxpush/base/log.h>
#include <pbxpush/daemon/config_file.h>

#include "daemon.h"

#define DEFAULT_PATH "/etc/pbxpush/pbxpush.conf"

static const char usage[] =
	"usage: pbxpushd [-c FILE] [-t] [-V] [-h]\n"
	"\n"
	"Wakes iPhones for a PBX: takes call events on a local socket, decides, pushes through "
	"APNs,\n"
	"and says what came of it. Stays in the foreground and logs to stderr.\n"
	"\n"
	"  -c, --config FILE  configuration (default " DEFAULT_PATH ")\n"
	"  -t, --test         check the configuration and keys, print every fault, exit 0 or 1\n"
	"  -V, --version      print the version\n"
	"  -h, --help         print this\n"
	"\n"
	"SIGHUP reloads the configuration; SIGTERM drains and stops.\n"
	"See pbxpushd(8), pbxpush.conf(5), pbxpushctl(8).\n";

static int run(const char *path, struct config *config)
{
	struct daemon *daemon = NULL;
	enum err err = daemon_new(path, config, &daemon);

	if (!err)
		err = daemon_run(daemon);
	daemon_free(daemon);
	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'}, {"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *path = DEFAULT_PATH;
	struct config *config = NULL;
	struct buf faults = {0};
	int test = 0, c;

	while ((c = getopt_long(argc, argv, "c:tVh", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 't':
			test = 1;
			break;
		case 'V':
			puts("pbxpushd " PBXPUSH_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs("try 'pbxpushd --help'\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "pbxpushd: '%s': there are no arguments\n", argv[optind]);
		return 2;
	}
	if (config_load(path, &config, &faults)) {
		fputs(buf_str(&faults), stderr);
		buf_free(&faults);
		return EXIT_FAILURE;
	}
	buf_free(&faults);
	if (!test)
		return run(path, config);
	printf("%s: no faults, %zu app%s\n", path, config->app_count,
		config->app_count == 1 ? "" : "s");
	config_free(config);
	return EXIT_SUCCESS;
}
