/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <pbxpush/pbx/http_message.h>

/* What may stand in a method or a field's name (RFC 9110 5.6.2). */
static const char token_chars[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* A piece of a line. */
struct span {
	const char *at;
	size_t len;
};

static enum http_line refuse(struct http_head *head, enum http_status status, const char *why)
{
	head->fault = status;
	head->why = why;
	return HTTP_LINE_REFUSED;
}

static size_t token_len(struct span text)
{
	size_t len = 0;

	while (len < text.len && text.at[len] && strchr(token_chars, text.at[len]))
		len++;
	return len;
}

static struct span span_trim(struct span text)
{
	while (text.len && (text.at[0] == ' ' || text.at[0] == '\t')) {
		text.at++;
		text.len--;
	}
	while (text.len && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

static bool span_is(struct span text, const char *word)
{
	return text.len == strlen(word) && !strncasecmp(text.at, word, text.len);
}

static bool span_has_control(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.at[i];

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

/* A copy that is cut where it has to be. */
static void span_copy(struct span text, char *out, size_t size)
{
	snprintf(out, size, "%.*s", text.len < size ? (int)text.len : (int)size, text.at);
}

/* The words of a comma-separated list, one after another. */
static bool span_next_word(struct span *rest, struct span *out)
{
	const char *comma;

	if (!rest->len)
		return false;
	comma = memchr(rest->at, ',', rest->len);
	out->at = rest->at;
	out->len = comma ? (size_t)(comma - rest->at) : rest->len;
	rest->at += out->len + (comma ? 1 : 0);
	rest->len -= out->len + (comma ? 1 : 0);
	*out = span_trim(*out);
	return true;
}

/* `/path?query`, or the absolute form, which a server has to take, too (RFC 9112 3.2.2). */
static struct span target_path(struct span target)
{
	static const char scheme[] = "http://";
	const char *end;

	if (target.len >= strlen(scheme) && !strncasecmp(target.at, scheme, strlen(scheme))) {
		target.at += strlen(scheme);
		target.len -= strlen(scheme);
		end = memchr(target.at, '/', target.len);
		target.len -= end ? (size_t)(end - target.at) : target.len;
		target.at = end ? end : target.at;
	}
	end = memchr(target.at, '?', target.len);
	if (end)
		target.len = (size_t)(end - target.at);
	return target;
}

static enum http_line request_line(struct http_head *head, struct span line)
{
	struct span method = {line.at, token_len(line)}, target, version;
	const char *space;

	line.at += method.len;
	line.len -= method.len;
	space = line.len ? memchr(line.at + 1, ' ', line.len - 1) : NULL;
	if (!method.len || !space || line.at[0] != ' ')
		return refuse(head, HTTP_STATUS_BAD_REQUEST, "not a request of HTTP/1.1");
	target = (struct span){line.at + 1, (size_t)(space - line.at) - 1};
	version = (struct span){space + 1, line.len - target.len - 2};
	if (!target.len || span_has_control(target) || version.len < 6 ||
		memcmp(version.at, "HTTP/", 5) != 0)
		return refuse(head, HTTP_STATUS_BAD_REQUEST, "not a request of HTTP/1.1");
	if (version.len != 8 || memcmp(version.at, "HTTP/1.", 7) != 0 || version.at[7] < '0' ||
		version.at[7] > '9')
		return refuse(head, HTTP_STATUS_BAD_VERSION, "only HTTP/1.1 and 1.0 are spoken");
	head->started = true;
	head->minor = version.at[7] - '0';
	span_copy(method, head->method, sizeof(head->method));
	span_copy(target_path(target), head->path, sizeof(head->path));
	return HTTP_LINE_MORE;
}

static enum http_line content_length(struct http_head *head, struct span value)
{
	int64_t length = 0;

	if (!value.len)
		return refuse(head, HTTP_STATUS_BAD_REQUEST, "Content-Length is no number");
	for (size_t i = 0; i < value.len; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return refuse(head, HTTP_STATUS_BAD_REQUEST, "Content-Length is no number");
		if (__builtin_mul_overflow(length, 10, &length) ||
			__builtin_add_overflow(length, value.at[i] - '0', &length))
			length = INT64_MAX; /* too large, however large */
	}
	if (head->has_length && head->length != length)
		return refuse(head, HTTP_STATUS_BAD_REQUEST, "two Content-Lengths");
	head->has_length = true;
	head->length = length;
	return HTTP_LINE_MORE;
}

/* The same twice is harmless: Asterisk's CURLOPT(httpheader) adds one each time that it is set. */
static enum http_line authorization(struct http_head *head, struct span value)
{
	char credentials[sizeof(head->credentials)] = "";

	if (value.len < sizeof(credentials))
		span_copy(value, credentials, sizeof(credentials));
	if (head->authorized && strcmp(head->credentials, credentials) != 0)
		return refuse(head, HTTP_STATUS_BAD_REQUEST, "two Authorization fields");
	head->authorized = true;
	strcpy(head->credentials, credentials);
	return HTTP_LINE_MORE;
}

static enum http_line known_field(struct http_head *head, struct span name, struct span value)
{
	struct span word;

	if (span_is(name, "content-length"))
		return content_length(head, value);
	if (span_is(name, "authorization"))
		return authorization(head, value);
	if (span_is(name, "transfer-encoding")) {
		if (!span_is(value, "chunked") || head->chunked)
			return refuse(head, HTTP_STATUS_NOT_IMPLEMENTED,
				"of the transfer codings only 'chunked' is known");
		head->chunked = true;
	} else if (span_is(name, "expect")) {
		if (!span_is(value, "100-continue"))
			return refuse(head, HTTP_STATUS_EXPECTATION,
				"only '100-continue' can be expected");
		head->expects_continue = true;
	} else if (span_is(name, "connection")) {
		while (span_next_word(&value, &word)) {
			head->close |= span_is(word, "close");
			head->keep_alive |= span_is(word, "keep-alive");
		}
	}
	return HTTP_LINE_MORE;
}

/* `name: value`. Blanks in front of the colon and folded lines are refused: who reads them
 * otherwise would see another request (RFC 9112 5.1, 5.2). */
static enum http_line field_line(struct http_head *head, struct span line)
{
	struct span name = {line.at, token_len(line)}, value;

	if (!name.len || name.len == line.len || line.at[name.len] != ':')
		return refuse(head, HTTP_STATUS_BAD_REQUEST, "not a header field");
	value = span_trim((struct span){line.at + name.len + 1, line.len - name.len - 1});
	if (span_has_control(value))
		return refuse(
			head, HTTP_STATUS_BAD_REQUEST, "a control character in a header field");
	return known_field(head, name, value);
}

/* What does not go together shows at the end. */
static enum http_line last_line(struct http_head *head)
{
	/* The two could mean different bodies: a way to smuggle a request (RFC 9112 6.1). */
	if (head->chunked && (head->has_length || !head->minor))
		return refuse(head, HTTP_STATUS_BAD_REQUEST,
			"Transfer-Encoding together with Content-Length or HTTP/1.0");
	if (!head->minor) /* such a client does not know the answer (RFC 9110 10.1.1) */
		head->expects_continue = false;
	return HTTP_LINE_LAST;
}

enum http_line http_head_line(struct http_head *head, const char *line, size_t len)
{
	head->bytes += len + 2;
	if (head->bytes > HTTP_HEAD_MAX_BYTES)
		return refuse(head, HTTP_STATUS_HEAD_TOO_LARGE, "the header has too many bytes");
	if (!head->started)
		/* An empty line in front is a relic of old clients (RFC 9112 2.2). */
		return len ? request_line(head, (struct span){line, len}) : HTTP_LINE_MORE;
	return len ? field_line(head, (struct span){line, len}) : last_line(head);
}

bool http_head_persists(const struct http_head *head)
{
	return !head->close && (head->minor || head->keep_alive);
}

int64_t http_chunk_size(const char *line, size_t len)
{
	int64_t size = 0;
	size_t at = 0;

	for (; at < len; at++) {
		unsigned char c = (unsigned char)line[at], lower = c | 0x20;

		if (c >= '0' && c <= '9')
			size = size * 16 + (c - '0');
		else if (lower >= 'a' && lower <= 'f')
			size = size * 16 + (lower - 'a' + 10);
		else
			break;
		if (at >= 12) /* petabytes: leading zeros have no use either */
			return -1;
	}
	if (!at || (at < len && !memchr("; \t", line[at], 3)))
		return -1;
	return size;
}

/* ---- answers ---- */

static const struct {
	enum http_status status;
	const char *phrase;
	const char *code; /* of CONTRACT 2, the nearest; NULL where nothing was refused */
} statuses[] = {
	{HTTP_STATUS_OK, "OK", NULL},
	{HTTP_STATUS_MULTI, "Multi-Status", NULL},
	{HTTP_STATUS_BAD_REQUEST, "Bad Request", "bad-json"},
	{HTTP_STATUS_UNAUTHORIZED, "Unauthorized", "not-permitted"},
	{HTTP_STATUS_FORBIDDEN, "Forbidden", "not-permitted"},
	{HTTP_STATUS_NOT_FOUND, "Not Found", "unknown-event"},
	{HTTP_STATUS_BAD_METHOD, "Method Not Allowed", "unknown-event"},
	{HTTP_STATUS_TIMEOUT, "Request Timeout", "bad-json"},
	{HTTP_STATUS_LENGTH_REQUIRED, "Length Required", "bad-json"},
	{HTTP_STATUS_TOO_LARGE, "Content Too Large", "too-long"},
	{HTTP_STATUS_EXPECTATION, "Expectation Failed", "bad-json"},
	{HTTP_STATUS_HEAD_TOO_LARGE, "Request Header Fields Too Large", "too-long"},
	{HTTP_STATUS_NOT_IMPLEMENTED, "Not Implemented", "bad-json"},
	{HTTP_STATUS_UNAVAILABLE, "Service Unavailable", "overloaded"},
	{HTTP_STATUS_BAD_VERSION, "HTTP Version Not Supported", "bad-json"},
};

static size_t status_row(enum http_status status)
{
	size_t row = 0;

	while (statuses[row].status != status)
		row++;
	return row;
}

void http_answer_refusal(struct http_answer *out, enum http_status status, const char *why)
{
	*out = (struct http_answer){.status = status, .type = "application/json"};
	buf_printf(&out->body, "{\"ok\":false,\"error\":\"%s\",\"field\":null,\"message\":",
		statuses[status_row(status)].code);
	buf_add_json(&out->body, why);
	buf_add_str(&out->body, "}\n");
}

void http_answer_write(const struct http_answer *answer, const struct http_head *head, bool last,
	int64_t now_s, struct buf *out)
{
	time_t now = (time_t)now_s;
	struct tm parts;
	char date[64] = "";

	if (gmtime_r(&now, &parts)) /* the C locale's names: nobody calls setlocale() here */
		strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts);
	buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
		(int)answer->status, statuses[status_row(answer->status)].phrase, date,
		answer->type, answer->body.len);
	if (answer->fields)
		buf_add_str(out, answer->fields);
	if (last)
		buf_add_str(out, "Connection: close\r\n");
	else if (!head->minor)
		buf_add_str(out, "Connection: keep-alive\r\n");
	buf_add_str(out, "\r\n");
	if (strcmp(head->method, "HEAD") != 0)
		buf_add(out, answer->body.data, answer->body.len);
	if (answer->body.failed)
		out->failed = true;
}
