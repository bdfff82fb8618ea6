/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_CORE_EVENT_H
#define PBXPUSH_CORE_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pbxpush/base/err.h>

#include <pbxpush/core/call.h>
#include <pbxpush/core/device.h>
#include <pbxpush/core/uuid.h>

/*
 * The events of CONTRACT 2. One table in event.c says which fields each has, of which type and
 * range; the parser, pbxpushctl's options and the documentation check all read it.
 */
/* The largest integer that a JSON number keeps exactly everywhere (RFC 8259 6). */
#define EVENT_INT_MAX INT64_C(9007199254740991)

enum event_type {
	EVENT_CALL,
	EVENT_ANSWER,
	EVENT_END,
	EVENT_RINGING,
	EVENT_CALL_STATE,
	EVENT_REGISTER,
	EVENT_UNREGISTER,
	EVENT_FORGET,
	EVENT_DND,
	EVENT_BLOCK,
	EVENT_UNBLOCK,
	EVENT_ALLOW,
	EVENT_UNALLOW,
	EVENT_DND_SCHEDULE,
	EVENT_CALL_WAITING,
	EVENT_MUTE,
	EVENT_UNMUTE,
	EVENT_SHOW,
	EVENT_EXPORT,
	EVENT_MISSED_CALL,
	EVENT_VOICEMAIL,
	EVENT_MESSAGE,
	EVENT_REFRESH,
	EVENT_PING,
	EVENT_COUNT
};

/* Every field of every event; a name means the same wherever it stands. Nested ones have a dot. */
enum event_field {
	FIELD_CALL,
	FIELD_TO,
	FIELD_FROM,
	FIELD_FROM_NUMBER,
	FIELD_FROM_NAME,
	FIELD_FROM_URI,
	FIELD_VIDEO,
	FIELD_RING_MS,
	FIELD_STARTED_MS,
	FIELD_ATTEMPT,
	FIELD_UUID,
	FIELD_LEG,
	FIELD_WAIT,
	FIELD_WAIT_MS,
	FIELD_DEVICE,
	FIELD_CONTACTS,
	FIELD_PBX_DND,     /* "dnd" */
	FIELD_PBX_BLOCKED, /* "blocked" */
	FIELD_BYPASS,
	FIELD_DATA,
	FIELD_REASON,
	FIELD_USER,
	FIELD_CONTACT,
	FIELD_EXPIRES_S,
	FIELD_APP,
	FIELD_TOKEN,
	FIELD_ALERT_TOKEN,
	FIELD_ENVIRONMENT,
	FIELD_MODE,
	FIELD_PN,
	FIELD_PN_PROVIDER,
	FIELD_PN_PARAM,
	FIELD_PN_PRID,
	FIELD_SIP,
	FIELD_FORGET,
	FIELD_ON,
	FIELD_UNTIL_MS,
	FIELD_NUMBER,
	FIELD_TIMEZONE,
	FIELD_WINDOWS,
	FIELD_CONVERSATION,
	FIELD_MESSAGE_ID,
	FIELD_TEXT,
	FIELD_BADGE,
	FIELD_AT_MS,
	FIELD_NEW,
	FIELD_OLD,
	FIELD_DURATION_S,
	FIELD_CURSOR,
	FIELD_COUNT
};

enum field_type {
	TYPE_STRING, /* min to max bytes */
	TYPE_USER,   /* what aor_normalize() takes; with `wildcard` also `*` and `*@domain` */
	TYPE_TOKEN,  /* 32 to 512 hex digits */
	TYPE_UUID,
	TYPE_BOOL,
	TYPE_INT,     /* min to max */
	TYPE_CHOICE,  /* one of `choices` */
	TYPE_OBJECT,  /* kept as JSON, or the parent of dotted fields */
	TYPE_STRINGS, /* an array of up to max strings: a string list */
	TYPE_WINDOWS, /* an array, kept as JSON: schedule_parse() knows what it holds */
};

struct field_spec {
	const char *name; /* as in the JSON; parent.child where nested */
	enum field_type type;
	int64_t min, max;
	const char *const *choices; /* NULL-terminated, in the order of the enum it is stored as */
	size_t offset;    /* into struct call_event; unused for TYPE_OBJECT with dotted fields */
	const char *help; /* one line for `pbxpushctl help` and the manual */
};

struct event_spec {
	const char *name;
	uint64_t required, optional; /* bits 1 << enum event_field */
	bool admin;                  /* section 2.3, forget, bulk: only for `admin-users` */
	bool wildcard;               /* user may be `*` or `*@domain` */
	bool exported;               /* an export consists of these, an import takes no other */
	const char *help;            /* one line */
};

/* The tables. Index below EVENT_COUNT and FIELD_COUNT. */
const struct event_spec *event_spec(enum event_type type);
const struct field_spec *event_field_spec(enum event_field field);

/* The JSON shape of an event, e.g. `{"call", "to", …}`; EVENT_COUNT where the name is unknown. */
enum event_type event_type_of(const char *name);

/* Strings one behind the other, each with its NUL. */
struct string_list {
	const char *first;
	size_t count;
};

struct event_line;

/*
 * A parsed event (`call_` because libevent owns `struct event`). What it points to lies in its own
 * copy of the line, which call_event_free() releases. What was absent or null has its bit in `has`
 * clear and, where the contract has a default, that default.
 */
struct call_event {
	enum event_type type;
	struct event_line *line; /* shared by the copies that call_event_share() made */
	const char *id;          /* JSON: a string or number as it stood; NULL where absent */
	uint64_t has;            /* bits 1 << enum event_field */

	const char *call, *to, *leg, *device, *user, *contact, *app, *number;
	const char *from_number, *from_name, *from_uri;
	const char *pn_provider, *pn_param, *pn_prid;
	const char *token, *alert_token; /* as given: push_token_normalize() before use */
	const char *uuid;                /* as given, checked */
	const char *data, *windows;      /* JSON as it stood, without blanks */
	struct string_list contacts;
	const char *timezone, *conversation, *message_id, *text, *cursor;
	int64_t badge, at_ms, new_count, old_count, duration_s;
	bool video, pbx_dnd, pbx_blocked, bypass, sip, forget, on;
	int64_t ring_ms, started_ms, wait_ms, expires_s, until_ms, attempt;
	enum wait_mode wait;
	enum call_state reason; /* of `end` */
	enum device_mode mode;
	enum device_environment environment;
};

enum event_error_code {
	EVENT_OK, /* the event was taken, whatever came of it */
	EVENT_BAD_JSON,
	EVENT_UNKNOWN,
	EVENT_MISSING_FIELD,
	EVENT_BAD_FIELD,
	EVENT_TOO_LONG,
	EVENT_OVERLOADED,
	EVENT_NOT_PERMITTED,
	EVENT_STORAGE_FAILED,
};

/* The contract's spelling, e.g. "bad-json", or "ok". Static string. */
const char *event_error_name(enum event_error_code code);

struct event_error {
	enum event_error_code code;
	char field[64]; /* "" where no field is to blame */
	char message[256];
};

/* Fills an error; the message is cut at a character boundary. field may be NULL. */
void event_error_set(struct event_error *error, enum event_error_code code, const char *field,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Parses one line (without its end), repaired by utf8_json_repair() where it needs it. On success
 * the caller frees with call_event_free(). On ERR_INVAL `error` is filled, and out->id is set where
 * the line is JSON, so that the error reply can echo it: call_event_free() then, too.
 * ERR_NOMEM: nothing to free.
 */
enum err call_event_parse(
	const char *line, size_t len, struct call_event *out, struct event_error *error);

/* Keeps what an event points to when the event itself is freed or handed on. */
struct event_line *event_line_hold(struct event_line *line);
/* Accepts NULL. */
void event_line_release(struct event_line *line);

/* A copy that shares the line; each is freed. */
struct call_event call_event_share(const struct call_event *event);

/* Moves the event, which has no kept copy yet, to the heap: there is room for it beside its line.
 * What is returned ends with its own call_event_free(). */
struct call_event *call_event_keep(struct call_event *event);

/* Leaves an event that may be freed again, unless it was a kept one. */
void call_event_free(struct call_event *event);

static inline bool event_has(const struct call_event *event, enum event_field field)
{
	return event->has >> field & 1;
}

#endif
