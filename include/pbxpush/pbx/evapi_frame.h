/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_PBX_EVAPI_FRAME_H
#define PBXPUSH_PBX_EVAPI_FRAME_H

#include <stddef.h>

#include <pbxpush/base/buf.h>

/*
 * A reply as Kamailio's evapi module can take it. This is how it reads (evapi_recv_client() in
 * 5.6.3; before and since alike):
 * - at most 32,767 bytes at a time, its unfinished netstring from before included;
 * - a netstring that does not fit into those makes it close the connection;
 * - where what it has ends within a length, or right before a comma, it throws all of it away, has
 *   lost step, and finds no netstring until it happens to read from the beginning of one: of 20,000
 *   replies written at once up to 18,000 were lost;
 * - an unfinished netstring is moved to the beginning by memcpy(3), which garbles it where it is
 *   longer than what stood before it.
 *
 * So a reply is a netstring whose size is a multiple of 31, by spaces behind its JSON text: as
 * 32,767 is 31 times 1,057, a full buffer that began with a netstring ends where 31 bytes do, and
 * never within a length. And it is at most half a buffer long. What makes Kamailio read less than a
 * full buffer is the end of what was sent: replies are sent whole.
 *
 * (The script language has a bound of its own, 8,191 bytes for a text with $evapi(msg) in it, unless
 * pv_buffer_size says otherwise: about 30 devices.)
 */
#define EVAPI_FRAME_UNIT_BYTES ((size_t)31)

/* The longest text: its netstring has 16,368 bytes. */
#define EVAPI_FRAME_MAX_BYTES ((size_t)16361)

/* Appends the reply of len bytes. One that is too long becomes the error `too-long` with the same
 * id; what the event did stands. Check out->failed. */
void evapi_frame_add(struct buf *out, const char *text, size_t len);

/* How many bytes of the replies that begin at data are whole ones and together at most max_bytes. */
size_t evapi_frames_within(const char *data, size_t len, size_t max_bytes);

#endif
