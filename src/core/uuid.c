/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include <pbxpush/core/uuid.h>

/* RFC 9562 6.6: the namespace of URLs. */
static const uint8_t uuid_url_namespace[16] = {0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80,
	0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};

/* Where the hyphens stand in 8-4-4-4-12. */
static bool uuid_is_hyphen(size_t at)
{
	return at == 8 || at == 13 || at == 18 || at == 23;
}

/* bytes: 16, to which version and variant are added (RFC 9562 4.1, 4.2). */
static void uuid_write(const uint8_t *bytes, int version, char out[UUID_SIZE])
{
	static const char hex[] = "0123456789abcdef";
	static const size_t groups[] = {4, 2, 2, 2, 6};
	uint8_t stamped[16];
	const uint8_t *byte = stamped;

	memcpy(stamped, bytes, sizeof(stamped));
	stamped[6] = (uint8_t)((stamped[6] & 0x0f) | version << 4);
	stamped[8] = (stamped[8] & 0x3f) | 0x80;
	for (size_t group = 0; group < 5; group++) {
		for (size_t i = 0; i < groups[group]; i++, byte++) {
			*out++ = hex[*byte >> 4];
			*out++ = hex[*byte & 15];
		}
		*out++ = '-';
	}
	out[-1] = '\0';
}

void uuid_of_call(const char *call_id, int attempt, uuid_sha1_fn *sha1, char out[UUID_SIZE])
{
	static const char prefix[] = "sip-call-id:";
	char name[sizeof(uuid_url_namespace) + sizeof("sip-call-id:#-2147483648") +
		  UUID_CALL_ID_MAX];
	const size_t start = sizeof(uuid_url_namespace);
	size_t len = strnlen(call_id, UUID_CALL_ID_MAX);
	uint8_t digest[20];

	memcpy(name, uuid_url_namespace, start);
	memcpy(name + start, prefix, sizeof(prefix) - 1);
	memcpy(name + start + sizeof(prefix) - 1, call_id, len);
	len += start + sizeof(prefix) - 1;
	if (attempt > 1)
		len += (size_t)snprintf(name + len, sizeof(name) - len, "#%d", attempt);
	sha1(name, len, digest);
	uuid_write(digest, 5, out);
}

void uuid_random(const uint8_t random[16], char out[UUID_SIZE])
{
	uuid_write(random, 4, out);
}

bool uuid_normalize(const char *text, char out[UUID_SIZE])
{
	char lower[UUID_SIZE];

	for (size_t at = 0; at < UUID_SIZE - 1; at++) {
		char c = text[at];
		if (uuid_is_hyphen(at)) {
			if (c != '-')
				return false;
		} else if (c >= 'A' && c <= 'F') {
			c = (char)(c - 'A' + 'a');
		} else if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) {
			return false;
		}
		lower[at] = c;
	}
	if (text[UUID_SIZE - 1])
		return false;
	lower[UUID_SIZE - 1] = '\0';
	memcpy(out, lower, UUID_SIZE);
	return true;
}
