/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include <pbxpush/ctl/http.h>

#include "client.h"

/* One header line, `name: value`, without its end. */
static enum err parse_header(const char *line, size_t len, size_t *content_length, bool *has_length)
{
	static const char length_name[] = "content-length:", coding_name[] = "transfer-encoding:";
	size_t i = sizeof(length_name) - 1, value = 0;

	if (len >= sizeof(coding_name) - 1 &&
		!strncasecmp(line, coding_name, sizeof(coding_name) - 1))
		return ERR_PROTOCOL;
	if (len < i || strncasecmp(line, length_name, i))
		return ERR_OK;
	while (i < len && (line[i] == ' ' || line[i] == '\t'))
		i++;
	if (i == len)
		return ERR_PROTOCOL;
	for (; i < len; i++) {
		if (line[i] < '0' || line[i] > '9' || value > HTTP_ANSWER_MAX_BYTES)
			return ERR_PROTOCOL;
		value = value * 10 + (size_t)(line[i] - '0');
	}
	*content_length = value;
	*has_length = true;
	return ERR_OK;
}

/* `HTTP/1.1 200 OK` */
static int parse_status(const char *line, size_t len)
{
	int status = 0;

	if (len < 12 || memcmp(line, "HTTP/1.", 7) || line[8] != ' ')
		return -1;
	for (size_t i = 9; i < 12; i++) {
		if (line[i] < '0' || line[i] > '9')
			return -1;
		status = status * 10 + line[i] - '0';
	}
	return status;
}

enum err http_parse_answer(const char *data, size_t len, struct http_answer *out)
{
	const char *line = data, *end = data + len;
	size_t content_length = 0;
	bool has_length = false;
	int status = -1;

	for (;;) {
		const char *lf = memchr(line, '\n', (size_t)(end - line));
		size_t line_len;

		if (!lf)
			return ERR_PROTOCOL;
		line_len = (size_t)(lf - line);
		if (line_len && line[line_len - 1] == '\r')
			line_len--;
		if (line == data) {
			status = parse_status(line, line_len);
			if (status < 0)
				return ERR_PROTOCOL;
		} else if (parse_header(line, line_len, &content_length, &has_length)) {
			return ERR_PROTOCOL;
		}
		line = lf + 1;
		if (!line_len)
			break;
	}
	if (!has_length)
		content_length = (size_t)(end - line);
	if (content_length > (size_t)(end - line))
		return ERR_PROTOCOL;
	*out = (struct http_answer){.status = status, .body = line, .body_len = content_length};
	return ERR_OK;
}

void http_encode_segment(const char *text, struct buf *out)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x80 && (isalnum(c) || strchr("-._~", c)))
			buf_add_char(out, (char)c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

enum err http_get(const char *path, const char *target, int64_t timeout_ms, struct buf *data,
	struct http_answer *out)
{
	struct client client = {.fd = -1};
	struct buf request = {0};
	bool end = false;
	enum err err;

	/* 1.0, so that the answer ends with the connection and comes in one piece */
	buf_printf(
		&request, "GET %s HTTP/1.0\r\nHost: pbxpush\r\nConnection: close\r\n\r\n", target);
	err = request.failed ? ERR_NOMEM : client_connect(path, timeout_ms, &client);
	if (!err)
		err = client_write(&client, request.data, request.len);
	while (!err && !end) {
		err = client_read(&client, data, &end);
		if (!err && data->len > HTTP_ANSWER_MAX_BYTES)
			err = ERR_LIMIT;
	}
	if (!err)
		err = http_parse_answer(buf_str(data), data->len, out);
	client_close(&client);
	buf_free(&request);
	return err;
}
