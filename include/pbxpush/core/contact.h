/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_CONTACT_H
#define PBXPUSH_CORE_CONTACT_H

#include <stdbool.h>

#include <pbxpush/base/err.h>
#include <pbxpush/core/push.h>

/* Longest Contact value we take, with its NUL. */
#define CONTACT_SIZE       2048
/* Longest decoded parameters of RFC 8599: pn-prid holds two tokens with their services. */
#define CONTACT_PARAM_SIZE 256
#define CONTACT_PRID_SIZE  1200

/*
 * A Contact header value or a bare URI (RFC 3261 20.10), as far as a push gateway cares.
 * RFC 8599 parameters are percent-decoded. Strings live inside the struct.
 */
struct contact {
	char uri[CONTACT_SIZE]; /* without display name, brackets and header parameters */
	char instance[256]; /* +sip.instance without quotes and angle brackets, "" where absent */
	bool star;          /* the value was `*` */
	int expires_s;      /* ;expires=, -1 where absent */
	bool has_provider, has_prid; /* the parameter stood there, perhaps empty */
	char pn_provider[32], pn_param[CONTACT_PARAM_SIZE], pn_prid[CONTACT_PRID_SIZE];
};

/*
 * Takes `<URI>` or `"Name" <URI>` with header parameters behind, a bare URI, or `*`. A bare URI
 * keeps its parameters except those that only a header has (expires, q, methods, reg-id, `+…`): a
 * PBX that was asked for the URI passes on what stood between the brackets. pn-* counts in either
 * place, the first one where it is repeated. Of several contacts joined by commas the first is
 * taken.
 *
 * ERR_INVAL for what is no Contact (no scheme, unbalanced quotes or brackets, control characters, a
 * broken percent escape in pn-*, too long); out is untouched then.
 */
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
 * Understands pn-provider, pn-param and pn-prid of `apns` and `apns.dev` (RFC 8599 8.x and
 * Linphone's two-token form, CONTRACT 2.2), percent-encoded or not. Any may be NULL.
 * ERR_NOTFOUND: no provider or another one. ERR_INVAL: broken or missing param or token; a token
 * without `:voip` or `:remote` behind it beside the service `remote&voip` is broken, too. *field
 * then names which of "provider" "param" "prid" (static string), out is untouched; NULL on success.
 */
enum err push_params_parse(const char *provider, const char *param, const char *prid,
	struct push_params *out, const char **field);

/* Writes the lower-case form of a hex token of 32 to 512 digits; ERR_INVAL for anything else. */
enum err push_token_normalize(const char *text, char out[PUSH_TOKEN_SIZE]);

#endif
