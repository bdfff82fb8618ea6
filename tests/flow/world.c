/* SPDX-License-Identifier: MIT */
#include "world.h"

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include <pbxpush/base/log.h>
#include <pbxpush/directory/directory.h>
#include <pbxpush/status/metrics.h>
#include <pbxpush/status/timeline.h>

#include "fake_clock.h"
#include "fake_memory.h"

/* A disk that takes longer than this is a fault of the directory, not of the machine. */
#define DISK_TIMEOUT_MS 10000

static void sha1(const void *data, size_t len, uint8_t digest[20])
{
	SHA1(data, len, digest);
}

/* Never twice the same, and the same in every run. */
static void count_up(void *out, size_t len)
{
	static uint32_t counter;
	uint8_t *bytes = out;

	counter++;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(counter >> 8 * (i % 4));
}

static void open_directory(struct world *world)
{
	struct directory_options options = {.max_devices = (int)world->config->max_devices};
	char path[128], why[256];

	snprintf(world->folder, sizeof(world->folder), "/tmp/pbxpush-flow-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	snprintf(path, sizeof(path), "%s/directory.db", world->folder);
	options.path = path;
	if (directory_open(&options, fake_clock_wall_ms(), &world->directory, why, sizeof(why)))
		fail_msg("directory: %s", why);
}

static void start_flow(struct world *world)
{
	struct flow_ports ports = {
		.transport = fake_transport_port(world->transport),
		.hook = fake_hook_port(world->hook),
		.directory = world->directory,
		.metrics = world->metrics,
		.timeline = world->timeline,
		.sha1 = sha1,
		.random = count_up,
		.look_at_clock = fake_clock_look,
		.zone = zones_get,
		.zone_self = world->zones,
		.wake = fake_clock_wake,
	};

	assert_int_equal(flow_new(world->config, &ports, &world->flow), ERR_OK);
}

struct world *world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	log_set_level(getenv("FLOW_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	fake_clock_reset();
	assert_int_equal(config_new(&world->config), ERR_OK);
	world->transport = fake_transport_new();
	world->replies = fake_replies_new();
	world->hook = fake_hook_new();
	assert_int_equal(metrics_new(&world->metrics), ERR_OK);
	assert_int_equal(timeline_new(1000, 3600000, &world->timeline), ERR_OK);
	assert_int_equal(zones_new(&world->zones), ERR_OK);
	open_directory(world);
	start_flow(world);
	world_app(world, WORLD_APP);
	return world;
}

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char file[512];

	while (dir && (entry = readdir(dir))) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		unlink(file);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

void world_free(struct world *world)
{
	if (!world)
		return;
	world_set_disk_full(world, false);
	fake_transport_shut_down(world->transport);
	directory_close(world->directory); /* answers those who wait for the disk */
	flow_free(world->flow);
	timeline_free(world->timeline);
	zones_free(world->zones);
	metrics_free(world->metrics);
	fake_replies_free(world->replies);
	fake_hook_free(world->hook);
	fake_transport_free(world->transport);
	config_free(world->config);
	remove_folder(world->folder);
	free(world);
}

struct config_app *world_app(struct world *world, const char *bundle_id)
{
	struct config_app *app = config_add_app(world->config, bundle_id);

	assert_non_null(app);
	free(app->team_id);
	app->team_id = strdup(WORLD_TEAM);
	return app;
}

void world_set(struct world *world, const char *section, const char *key, const char *value)
{
	const struct option_spec *spec = option_find(section, key);
	void *base = world->config;
	char why[256];

	if (!spec)
		fail_msg("[%s] %s: there is no such option", section, key);
	if (!strcmp(section, "app"))
		base = config_add_app(world->config, WORLD_APP);
	if (option_set(spec, value, NULL, base, why, sizeof(why)))
		fail_msg("[%s] %s = %s: %s", section, key, value, why);
	flow_set_config(world->flow, world->config);
}

void world_set_disk_full(struct world *world, bool full)
{
	struct rlimit limit;

	if (world->disk_full == full)
		return;
	world->disk_full = full;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = full ? 0 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

void world_send(
	struct world *world, uint64_t client, enum client_role role, const char *line, size_t len)
{
	const struct event_sink *sink = flow_sink(world->flow);
	/* An exact copy: a read beyond its end is caught, and so is a pointer kept into it. */
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, line, len);
	fake_memory_arm(true);
	sink->line(sink->self, (struct reply_to){fake_replies_port(world->replies), client}, role,
		copy, len, fake_clock_mono_us());
	fake_memory_arm(false);
	free(copy);
}

char *world_reply(struct world *world, uint64_t client)
{
	return fake_replies_take(world->replies, client);
}

char *world_await_reply(struct world *world, uint64_t client)
{
	struct pollfd disk = {.fd = directory_fd(world->directory), .events = POLLIN};
	char *reply;

	while (!(reply = world_reply(world, client))) {
		/* flow_is_busy() counts pushes too, so only the disk can say that nothing will come
		 * */
		if (poll(&disk, 1, DISK_TIMEOUT_MS) != 1)
			return NULL;
		directory_collect(world->directory);
	}
	return reply;
}
