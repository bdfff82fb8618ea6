/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_BASE_ERR_H
#define PBXPUSH_BASE_ERR_H

/* What a function returns when it can fail. Zero is success, so `if (err)` reads right. */
enum err {
	ERR_OK = 0,
	ERR_NOMEM,    /* an allocation failed */
	ERR_INVAL,    /* the caller or the input is wrong */
	ERR_NOTFOUND, /* no such thing */
	ERR_EXISTS,   /* there is one already */
	ERR_LIMIT,    /* a bound was reached; nothing was changed */
	ERR_IO,       /* the system refused; errno says why */
	ERR_STORAGE,  /* the change holds in memory but is not on disk */
	ERR_CLOSED,   /* the other side has gone, or we are shutting down */
	ERR_PROTOCOL, /* the peer broke the protocol */
	ERR_CRYPTO,   /* a key, signature or certificate is unusable */
	ERR_BUSY,     /* somebody else holds it */
};

/* A short lower-case English phrase, never NULL, static storage. */
const char *err_string(enum err err);

#endif
