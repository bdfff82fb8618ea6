/* SPDX-License-Identifier: MIT */
#ifndef CTL_IMPORT_SEND_H
#define CTL_IMPORT_SEND_H

#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/buf.h>
#include <pbxpush/base/err.h>

#include "client.h"

/* What is to be sent, and what became of it. */
struct batch {
	struct buf lines; /* each an event with its LF, the number of its line in the file as id */
	size_t count;     /* of lines */
	size_t answered;  /* so far … */
	size_t refused;   /* … and of these: no */
};

/* A fault on stderr, under the number of its line; 0: of a line that cannot be told. */
void batch_complain(int64_t line, const char *what);

/*
 * Sends the events in order, many of them in flight, and waits for all replies; each refusal is
 * told on stderr, and the rest goes on. silence_ms: how long no reply may come. Errors as those of
 * client.h, and ERR_CLOSED, ERR_PROTOCOL, ERR_LIMIT; answered and refused are right then, too.
 */
enum err batch_send(struct batch *batch, struct client *client, int64_t silence_ms);

#endif
