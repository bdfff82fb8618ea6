/* SPDX-License-Identifier: MIT */
#include <pbxpush/base/err.h>

const char *err_string(enum err err)
{
	switch (err) {
	case ERR_OK:
		return "success";
	case ERR_NOMEM:
		return "out of memory";
	case ERR_INVAL:
		return "invalid argument";
	case ERR_NOTFOUND:
		return "not found";
	case ERR_EXISTS:
		return "exists already";
	case ERR_LIMIT:
		return "limit reached";
	case ERR_IO:
		return "system error";
	case ERR_STORAGE:
		return "not stored";
	case ERR_CLOSED:
		return "closed";
	case ERR_PROTOCOL:
		return "protocol error";
	case ERR_CRYPTO:
		return "unusable key, signature or certificate";
	case ERR_BUSY:
		return "busy";
	}
	return "unknown error";
}
