/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include <pbxpush/ctl/arguments.h>

#include "status_query.h"
#include "top.h"

#define REFRESH_MS 1000

/* Set by the signals that would end us with the terminal in single-key mode. */
static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = stop}; /* no SA_RESTART: poll() shall return */

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

/* True when somebody pressed q, or a signal came, within a second. */
static bool is_over(bool keys)
{
	struct pollfd pollfd = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
	char key;

	if (poll(&pollfd, 1, REFRESH_MS) <= 0 || stopped)
		return stopped;
	return read(STDIN_FILENO, &key, 1) != 1 || key == 'q';
}

static void draw(const struct buf *page)
{
	fputs("\033[H\033[2J", stdout);
	fwrite(buf_str(page), 1, page->len, stdout);
	fputs("\nq ends\n", stdout);
	fflush(stdout);
}

enum exit_code top_run(
	const struct arguments *arguments, struct buf *out, char *why, size_t why_size)
{
	struct termios before, single_key;
	enum exit_code code;
	bool keys;

	if (!isatty(STDOUT_FILENO))
		return status_query_status(arguments, out, why, why_size);
	keys = isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &before);
	catch_signals();
	if (keys) {
		single_key = before;
		single_key.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tcsetattr(STDIN_FILENO, TCSANOW, &single_key);
	}
	do {
		buf_reset(out);
		code = status_query_status(arguments, out, why, why_size);
		if (code == EXIT_GO_ON)
			draw(out);
	} while (code == EXIT_GO_ON && !is_over(keys));
	if (keys)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
	buf_reset(out);
	return code;
}
