/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pbxpush/ctl/arguments.h>
#include <pbxpush/ctl/commands.h>

/* One line on stderr. It may quote what a stranger wrote, which must not write on the terminal. */
static void complain(const char *why)
{
	fputs("pbxpushctl: ", stderr);
	for (; *why; why++)
		fputc((unsigned char)*why < ' ' || *why == 0x7f ? '?' : *why, stderr);
	fputc('\n', stderr);
}

/* https://no-color.org: set to anything but the empty string. */
static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && strcmp(term, "dumb");
}

int main(int argc, char **argv)
{
	char why[512] = "";
	struct arguments arguments;
	struct buf out = {0};
	enum exit_code code;

	if (arguments_parse(argc, argv, &arguments, why, sizeof(why))) {
		complain(why);
		return EXIT_USAGE;
	}
	arguments.colour = wants_colour();
	code = command_run(&arguments, &out, why, sizeof(why));
	if (out.failed) {
		complain("out of memory");
		code = EXIT_UNAVAILABLE;
	} else {
		fwrite(buf_str(&out), 1, out.len, stdout);
		fflush(stdout);
	}
	if (why[0])
		complain(why);
	buf_free(&out);
	return (int)code;
}
