/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "directory_fixture.h"

/* Power that goes: what was acknowledged is there, and nothing half. */

#define APP "com.example.phone"

#define ROUNDS  40 /* unless $PBXPUSH_KILL_ROUNDS says more */
#define USERS   20
#define FLYING  64 /* changes on their way at a time */
#define NUMBERS (1 << 24)
#define TALKS   50 /* conversations that are muted */

/* What the child tells before it may be killed. In memory that both see. */
struct ledger {
	uint32_t sent;                /* changes handed to the directory, 1.. */
	uint32_t acked[NUMBERS / 32]; /* a bit for each whose `done` said ERR_OK */
};

struct change_sent {
	struct ledger *ledger;
	int pipe_fd;
	uint32_t number;
	int *flying;
};

static void acknowledge(void *arg, enum err err)
{
	struct change_sent *change = arg;

	if (err)
		_exit(2);
	change->ledger->acked[change->number / 32] |= 1U << (change->number % 32);
	--*change->flying;
	if (write(change->pipe_fd, "", 1) != 1)
		_exit(3);
	free(change);
}

static void number_token(uint32_t number, char out[65])
{
	snprintf(out, 65, "%064x", number);
}

enum sort { PHONE, NUMBER, SCHEDULE, MUTE, SORTS };

/* Two of five changes give a new token to the phone of a user. */
static enum sort sort_of(uint32_t number)
{
	static const enum sort sorts[] = {PHONE, NUMBER, PHONE, SCHEDULE, MUTE};

	return sorts[number % 5];
}

/* Of each sort, which thing the change is about: the next change of the same replaces it. */
static uint32_t thing_of(uint32_t number)
{
	switch (sort_of(number)) {
	case PHONE:
	case SCHEDULE:
		return number / 5 % USERS;
	case NUMBER:
		return number;
	case MUTE:
		return number / 5 % TALKS;
	case SORTS:
		break;
	}
	return 0;
}

static enum err send_change(struct directory *dir, struct change_sent *change)
{
	uint32_t number = change->number;
	char thing[16], token[65], text[16];
	struct registration_result result;

	snprintf(thing, sizeof(thing), "%u", thing_of(number));
	snprintf(text, sizeof(text), "%u", number);
	number_token(number, token);
	switch (sort_of(number)) {
	case PHONE:
		return directory_register(dir,
			&(struct registration){.user = thing,
				.device = "phone",
				.app = APP,
				.token = token,
				.now_ms = number},
			&result, acknowledge, change);
	case NUMBER:
		return directory_list_add(dir, "1001", LIST_BLOCK, text, acknowledge, change);
	case SCHEDULE:
		return directory_set_schedule(dir, thing, text, acknowledge, change);
	case MUTE:
		return directory_mute_add(dir, "1001", thing, number, acknowledge, change);
	case SORTS:
		break;
	}
	return ERR_INVAL;
}

/* Changes the directory until it is killed. */
static _Noreturn void child_main(const struct fixture *f, struct ledger *ledger, int pipe_fd)
{
	struct directory *dir;
	char why[512];
	int flying = 0;

	if (directory_open(&f->options, 1, &dir, why, sizeof(why)))
		_exit(4);
	for (;;) {
		struct change_sent *change = malloc(sizeof(*change));
		if (!change || ledger->sent + 1 >= NUMBERS)
			_exit(5);
		*change = (struct change_sent){ledger, pipe_fd, ++ledger->sent, &flying};
		flying++;
		if (send_change(dir, change))
			_exit(6);
		struct pollfd poll_fd = {.fd = directory_fd(dir), .events = POLLIN};
		while (poll(&poll_fd, 1, flying < FLYING ? 0 : -1) > 0)
			directory_collect(dir);
	}
}

static bool is_acked(const struct ledger *ledger, uint32_t number)
{
	return ledger->acked[number / 32] & 1U << (number % 32);
}

/* What the directory says: by sort and thing, the number of the change that it holds. */
struct holds {
	uint32_t phone[USERS], schedule[USERS], mute[TALKS];
	uint8_t number[NUMBERS / 8];
	size_t numbers;
};

static void hold_item(void *arg, const struct directory_item *item)
{
	struct holds *holds = arg;
	uint32_t number = 0;

	switch (item->kind) {
	case ITEM_DEVICE:
		number = (uint32_t)strtoul(item->device->token, NULL, 16);
		assert_int_equal(item->device->seen_ms, number); /* not half of two changes */
		holds->phone[atoi(item->user)] = number;
		break;
	case ITEM_SCHEDULE:
		number = (uint32_t)strtoul(item->text, NULL, 10);
		holds->schedule[atoi(item->user)] = number;
		break;
	case ITEM_MUTE:
		number = (uint32_t)item->until_ms;
		holds->mute[atoi(item->text)] = number;
		break;
	case ITEM_BLOCK:
		number = (uint32_t)strtoul(item->text, NULL, 10);
		holds->number[number / 8] |= (uint8_t)(1U << number % 8);
		holds->numbers++;
		break;
	case ITEM_DND:
	case ITEM_CALL_WAITING:
	case ITEM_ALLOW:
		fail_msg("nobody set this");
	}
	assert_true(number > 0);
}

/* The number of the change that a thing holds, 0: none. */
static uint32_t held(const struct holds *holds, enum sort sort, uint32_t thing)
{
	switch (sort) {
	case PHONE:
		return holds->phone[thing];
	case SCHEDULE:
		return holds->schedule[thing];
	case MUTE:
		return holds->mute[thing];
	case NUMBER:
		return holds->number[thing / 8] & 1U << thing % 8 ? thing : 0;
	case SORTS:
		break;
	}
	return 0;
}

/* Each thing holds the last acknowledged change of it, or one sent after that. */
static void check_ledger(const struct fixture *f, const struct ledger *ledger)
{
	struct holds *holds = calloc(1, sizeof(*holds));
	struct directory_cursor cursor = {0};

	assert_non_null(holds);
	while (directory_export(f->dir, &cursor, hold_item, holds))
		;
	for (uint32_t n = 1; n <= ledger->sent; n++) {
		uint32_t now = held(holds, sort_of(n), thing_of(n));
		if (is_acked(ledger, n) && now < n)
			fail_msg("change %u was acknowledged, and is lost", n);
		if (now && (now > ledger->sent || sort_of(now) != sort_of(n) ||
				   thing_of(now) != thing_of(n)))
			fail_msg("%u is what nobody sent there", now);
		holds->numbers -= sort_of(n) == NUMBER && now;
	}
	assert_int_equal(holds->numbers, 0); /* nothing else is blocked */
	free(holds);
}

/* Kills the child after so many acknowledgements, wherever it is then. */
static void kill_round(const struct fixture *f, struct ledger *ledger, int acks)
{
	int fds[2], status;
	char byte;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		child_main(f, ledger, fds[1]);
	close(fds[1]);
	for (int i = 0; i < acks; i++)
		if (read(fds[0], &byte, 1) != 1)
			break;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(fds[0]);
	if (!WIFSIGNALED(status))
		fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
}

static void killed_at_any_moment(void **state)
{
	struct fixture f;
	const char *wanted = getenv("PBXPUSH_KILL_ROUNDS");
	int rounds = wanted ? atoi(wanted) : ROUNDS;
	struct ledger *ledger = mmap(
		NULL, sizeof(*ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	(void)state;
	assert_true(ledger != MAP_FAILED);
	fixture_new(&f, 16, 0);
	for (int round = 0; round < rounds; round++) {
		kill_round(&f, ledger, 1 + (round * 37) % 200);
		fixture_open_at(&f, 1);
		check_ledger(&f, ledger);
		directory_close(f.dir);
		f.dir = NULL;
	}
	assert_true(ledger->sent > (uint32_t)rounds);
	munmap(ledger, sizeof(*ledger));
	fixture_free(&f);
}

/* ---- in one piece ---- */

#define OTHERS 5000 /* changes that wait in between, more than a batch holds */

static void put_phone(struct directory *dir, const char *name, char token, int64_t now_ms)
{
	struct registration_result result;
	struct registration reg = {.user = "1001",
		.device = name,
		.app = APP,
		.token = token_of(token),
		.now_ms = now_ms};

	if (directory_register(dir, &reg, &result, NULL, NULL))
		_exit(2);
}

static void put_others(struct directory *dir)
{
	char text[16];

	for (int i = 0; i < OTHERS; i++) {
		snprintf(text, sizeof(text), "%d", i);
		if (directory_list_add(dir, "1001", LIST_BLOCK, text, NULL, NULL))
			_exit(3);
	}
}

static void collect(struct directory *dir)
{
	struct pollfd poll_fd = {.fd = directory_fd(dir), .events = POLLIN};

	if (poll(&poll_fd, 1, 20000) != 1)
		_exit(4);
	directory_collect(dir);
}

static size_t unwritten(const struct directory *dir)
{
	struct directory_stats stats;

	directory_stats(dir, 1, &stats);
	return stats.unwritten;
}

/* The old name waits at the head of the queue, the new one at its end. */
static void rename_far_behind(struct directory *dir)
{
	directory_set_dnd(dir, "1002", NULL, true, 0, NULL, NULL); /* flies alone */
	put_phone(dir, "old", 'a', 2);
	put_others(dir);
	put_phone(dir, "new", 'a', 3);
	collect(dir);
}

/* The rename fails, and while it was on its way both names were changed again. */
static void rename_on_a_full_disk(struct directory *dir)
{
	struct rlimit usual, limit;

	getrlimit(RLIMIT_FSIZE, &usual);
	limit = usual;
	limit.rlim_cur = 4096;
	setrlimit(RLIMIT_FSIZE, &limit);
	put_phone(dir, "new", 'a', 2);
	put_phone(dir, "old", 'b', 3);
	put_others(dir);
	put_phone(dir, "new", 'a', 4);
	collect(dir);
	setrlimit(RLIMIT_FSIZE, &usual);
	if (directory_healthy(dir, NULL))
		_exit(5);
	directory_tick(dir, 1);
}

/* As if killed right after the next batch. */
static _Noreturn void rename_and_die(const struct fixture *f, void (*rename)(struct directory *dir))
{
	struct directory *dir;
	char why[512];

	signal(SIGXFSZ, SIG_IGN);
	if (directory_open(&f->options, 1, &dir, why, sizeof(why)))
		_exit(1);
	rename(dir);
	for (size_t before = unwritten(dir); unwritten(dir) >= before;)
		collect(dir);
	_exit(0);
}

static const struct {
	const char *name;
	void (*rename)(struct directory *dir);
} renames[] = {
	{"far behind", rename_far_behind},
	{"on a full disk", rename_on_a_full_disk},
};

/* A rename is two rows: with only the first of them on disk the phone would be lost, or be two. */
static void rename_in_one_piece(void **state)
{
	struct fixture f;
	struct device device;
	struct directory_stats stats;
	int status;

	(void)state;
	for (size_t i = 0; i < sizeof(renames) / sizeof(renames[0]); i++) {
		fixture_new(&f, 16, 0);
		fixture_open_at(&f, 1);
		put_phone(f.dir, "old", 'a', 1);
		directory_close(f.dir);
		fflush(NULL);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			rename_and_die(&f, renames[i].rename);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
		fixture_open_at(&f, 1);
		directory_stats(f.dir, 1, &stats);
		if (!directory_find_token(f.dir, "1001", token_of('a'), &device))
			fail_msg("%s: the phone is lost", renames[i].name);
		assert_int_equal(stats.devices, i == 0 ? 1 : 2);
		fixture_free(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(killed_at_any_moment),
		cmocka_unit_test(rename_in_one_piece),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
