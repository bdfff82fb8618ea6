/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/event.h>
#include <pbxpush/core/reply.h>

/* Build with -fsanitize=fuzzer,address,undefined. What holds for every line is checked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

/* A text of the event that is there is JSON once more. */
static void check_json(const char *text, bool is_number)
{
	json_t *value;

	if (!text)
		return;
	value = json_loads(text, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
	check(value && (is_number ? json_is_number(value) : json_is_object(value)));
	json_decref(value);
}

/* Every reply that quotes the line is one line of JSON with the line's id. */
static void check_reply(const struct call_event *event, const struct event_error *error)
{
	struct buf id = {0}, out = {0};
	json_t *reply;

	if (event->id_text)
		buf_add_str(&id, event->id_text);
	else if (event->id)
		reply_write_id(event->id, &id);
	reply_write_error(id.data, error, &out);
	check(!out.failed && !memchr(out.data, '\n', out.len));
	reply = json_loadb(out.data, out.len, JSON_DECODE_INT_AS_REAL, NULL);
	check(reply != NULL);
	check((event->id != NULL) == (json_object_get(reply, "id") != NULL));
	if (json_is_string(event->id))
		check(json_equal(event->id, json_object_get(reply, "id")));
	json_decref(reply);
	buf_free(&id);
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
	check_json(event->id_text, true);
	check_json(event->data_text, false);
	check(!event->data == !event->data_text || !event->data_text);
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
