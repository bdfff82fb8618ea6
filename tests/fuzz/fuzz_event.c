/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <pbxpush/core/event.h>
#include <pbxpush/core/reply.h>

/* Build with -fsanitize=fuzzer,address,undefined. What holds for every line is checked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* What is kept as it stood is JSON once more. */
static void check_json(const char *text)
{
	json_error_t why;
	json_t *value = text ? json_loads(text, JSON_DECODE_INT_AS_REAL, &why) : NULL;

	check(!text || json_is_object(value) ||
		json_error_code(&why) == json_error_numeric_overflow);
	json_decref(value);
}

/* Every reply that quotes the line is one line of JSON with the line's id. */
static void check_reply(const struct call_event *event, const struct event_error *error)
{
	struct buf out = {0};
	json_error_t why;
	json_t *reply;

	reply_write_error(event->id, error, &out);
	check(!out.failed && !memchr(out.data, '\n', out.len));
	reply = json_loadb(out.data, out.len, JSON_DECODE_INT_AS_REAL, &why);
	/* an id like 1e400 is JSON, though too great for jansson */
	check(reply != NULL || json_error_code(&why) == json_error_numeric_overflow);
	check(!reply || (event->id != NULL) == (json_object_get(reply, "id") != NULL));
	json_decref(reply);
	buf_free(&out);
}

static void check_fields(const struct call_event *event)
{
	const struct event_spec *spec = event_spec(event->type);

	check(event->type < EVENT_COUNT);
	check((event->has & spec->required) == spec->required);
	check(!(event->has & ~(spec->required | spec->optional)));
	for (enum event_field field = 0; field < FIELD_COUNT; field++) {
		const struct field_spec *type = event_field_spec(field);
		int64_t value;

		if (type->type != TYPE_INT || !event_has(event, field))
			continue;
		memcpy(&value, (const char *)event + type->offset, sizeof(value));
		check(value >= type->min && value <= type->max);
	}
	check_json(event->data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size ? size : 1); /* exact, so that a read beyond the end is seen */
	struct call_event event;
	struct event_error error = {0};
	enum err err;

	check(line != NULL);
	if (size)
		memcpy(line, data, size);
	err = call_event_parse(line, size, &event, &error);
	free(line); /* nothing of the event points into it */
	check(err == ERR_OK || err == ERR_INVAL);
	if (err) {
		check(error.message[0] != '\0');
		check_reply(&event, &error);
	} else {
		check_fields(&event);
	}
	call_event_free(&event);
	return 0;
}
