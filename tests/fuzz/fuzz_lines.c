/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/pbx/line_reader.h>

/* Build with -fsanitize=fuzzer,address,undefined. However a stream is cut into pieces, the same
 * lines come out as from looking at the whole of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

struct model {
	const char *text;
	size_t len, at, max_line;
};

/* The next line of the whole text, by the words of the contract. */
static enum line_kind model_next(struct model *model, const char **line, size_t *len)
{
	while (model->at < model->len) {
		const char *start = model->text + model->at;
		const char *feed = memchr(start, '\n', model->len - model->at);
		size_t raw = feed ? (size_t)(feed - start) : model->len - model->at;
		model->at += raw + (feed ? 1 : 0);
		*line = start;
		*len = raw && start[raw - 1] == '\r' ? raw - 1 : raw;
		if (*len > model->max_line)
			return LINE_TOO_LONG;
		if (*len)
			return LINE_TEXT;
	}
	return LINE_NONE;
}

static void compare(struct line_reader *reader, struct model *model)
{
	const char *line, *expected;
	size_t len, expected_len;
	enum line_kind kind;

	while ((kind = line_reader_next(reader, model->max_line, &line, &len)) != LINE_NONE) {
		check(model_next(model, &expected, &expected_len) == kind);
		if (kind == LINE_TEXT)
			check(len == expected_len && !memcmp(line, expected, len));
	}
	check(reader->cap <= 16384 || reader->cap <= 2 * model->max_line + 8194);
}

/* The first byte is the longest line, the second the size of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct line_reader reader = {0};
	const char *line;
	size_t len, room;

	if (size < 2)
		return 0;
	struct model model = {.text = (const char *)data + 2, .len = size - 2, .max_line = data[0]};
	size_t piece = 1 + (size_t)data[1] * data[1];
	for (size_t at = 0; at < model.len;) {
		size_t n = model.len - at < piece ? model.len - at : piece;
		char *space = line_reader_space(&reader, &room);
		check(space && room);
		n = n < room ? n : room;
		memcpy(space, model.text + at, n);
		line_reader_fill(&reader, n);
		at += n;
		compare(&reader, &model);
	}
	line_reader_end(&reader);
	compare(&reader, &model);
	check(model_next(&model, &line, &len) == LINE_NONE);
	line_reader_free(&reader);
	return 0;
}
