/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_CONTACT_H
#define PBXPUSH_CORE_CONTACT_H

#include <stdbool.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/push.h>

/* Longest Contact value we take, with its NUL. */
#define CONTACT_SIZE 2048

/*
 * A Contact header value or a bare URI (RFC 3261 20.10), as far as a push gateway cares.
 * Strings are percent-decoded where RFC 8599 parameters are, and live inside the struct.
 */
struct contact {
	char uri[CONTACT_SIZE]; /* without display name, brackets and header parameters */
	char instance[256]; /* +sip.instance without quotes and angle brackets, "" where absent */
	bool star;          /* the value was `*` */
	int expires_s;      /* ;expires=, -1 where absent */
	bool has_provider, has_prid; /* the parameter stood there, perhaps empty */
	char pn_provider[32], pn_param[256], pn_prid[1200];
};

/* ERR_INVAL for what is no Contact (unbalanced quotes or brackets, control characters, too long). */
enum err contact_parse(const char *value, struct contact *out);

/* What RFC 8599 parameters say about a device. */
struct push_params {
	char team[16];
	char app[128];                     /* bundle id */
	char token[PUSH_TOKEN_SIZE];       /* PushKit's (voip), lower-case hex, "" where absent */
	char alert_token[PUSH_TOKEN_SIZE]; /* the ordinary one (remote), likewise */
	bool sandbox;                      /* provider apns.dev */
};

/*
 * Understands pn-provider, pn-param and pn-prid of `apns` and `apns.dev` (RFC 8599 8.x and Linphone's
 * two-token form, CONTRACT 2.2).
 * ERR_NOTFOUND: another provider. ERR_INVAL: broken param or token, *field then names which
 * of "provider" "param" "prid" (static string).
 */
enum err push_params_parse(const char *provider, const char *param, const char *prid,
	struct push_params *out, const char **field);

/* Writes the lower-case form of a hex token of 32 to 512 digits; ERR_INVAL for anything else. */
enum err push_token_normalize(const char *text, char out[PUSH_TOKEN_SIZE]);

#endif
