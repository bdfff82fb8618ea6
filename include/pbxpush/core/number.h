/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_NUMBER_H
#define PBXPUSH_CORE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* Room for a number in any form, with its NUL. Longer input is cut for comparing, never for
 * showing. */
#define NUMBER_SIZE 128

/* How a site writes numbers: the [numbers] section. Strings are borrowed. */
struct number_rules {
	const char *country_code;         /* digits, "" where not set */
	const char *international_prefix; /* 00 */
	const char *national_prefix;      /* 0 */
	int extension_digits; /* up to this many digits without prefix are an extension */
};

/*
 * The form in which numbers are compared and shown to the app: E.164 (`+4930123456`) where the
 * rules know, else as given without separators and URI parts. Takes tel: and sip: URIs (RFC 3966
 * visual separators, parameters and host go). Something with letters is a SIP user and stays
 * user@host. Without country_code only separators and URI parts go. A `*` at the end (a prefix in a
 * block list) stays there.
 *
 * A prefix that begins with 0 counts in digits of any length; another one (1, 8, 011) only in
 * digits too long for an extension. More than 15 digits are no E.164 and stay as they are.
 */
void number_normalize(const struct number_rules *rules, const char *text, char out[NUMBER_SIZE]);

/* True for the forms in which a PBX says that the caller withholds the number: the empty string,
 * anonymous, restricted, private, unavailable, anonymous@anonymous.invalid; any case, with or
 * without sip:. */
bool number_is_withheld(const char *text);

/* `[daemon] log-numbers` */
enum number_privacy { NUMBER_FULL, NUMBER_MASKED, NUMBER_NONE };

/*
 * A number, AOR or URI as the log and the status may show it. Masked keeps the first three
 * characters and the last two of any run of seven digits or more; shorter runs (extensions) stay.
 * None: "-". Digits with separators between them are one run, except in a host. Returns out
 * (out_size bytes, at least 2; cut to fit at a character boundary).
 */
const char *number_for_log(
	enum number_privacy privacy, const char *text, char *out, size_t out_size);

#endif
