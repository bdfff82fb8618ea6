/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include <pbxpush/apns/endpoint.h>
#include <pbxpush/apns/proxy_tunnel.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))

static void endpoints_are_parsed(void **state)
{
	static const struct {
		const char *text, *host, *port; /* host NULL: refused */
		bool is_address;
		const char *authority;
	} ROWS[] = {
		{"api.push.apple.com:443", "api.push.apple.com", "443", false,
			"api.push.apple.com"},
		{"api.push.apple.com", "api.push.apple.com", "443", false, "api.push.apple.com"},
		{"localhost:2197", "localhost", "2197", false, "localhost:2197"},
		{"127.0.0.1:8443", "127.0.0.1", "8443", true, "127.0.0.1:8443"},
		{"[::1]:443", "::1", "443", true, "[::1]"},
		{"[2001:db8::1]", "2001:db8::1", "443", true, "[2001:db8::1]"},
		{"", NULL, NULL, false, NULL},
		{":443", NULL, NULL, false, NULL},
		{"host:", "host", "443", false, "host"},
		{"host:0", NULL, NULL, false, NULL},
		{"host:65536", NULL, NULL, false, NULL},
		{"host:44x", NULL, NULL, false, NULL},
		{"host:443 ", NULL, NULL, false, NULL},
		{"ho st:443", NULL, NULL, false, NULL},
		{"host\r\nX: y:443", NULL, NULL, false, NULL},
		{"::1", NULL, NULL, false, NULL},
		{"[host]:443", NULL, NULL, false, NULL},
		{"[::1", NULL, NULL, false, NULL},
		{"[::1]443", NULL, NULL, false, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(ROWS); i++) {
		struct endpoint endpoint;
		char authority[300];
		bool ok = endpoint_parse(ROWS[i].text, "443", &endpoint);
		if (ok != (ROWS[i].host != NULL))
			fail_msg("%s", ROWS[i].text);
		if (!ok)
			continue;
		assert_string_equal(endpoint.host, ROWS[i].host);
		assert_string_equal(endpoint.port, ROWS[i].port);
		assert_int_equal(endpoint.is_address, ROWS[i].is_address);
		endpoint_authority(&endpoint, false, authority);
		assert_string_equal(authority, ROWS[i].authority);
	}
	char longest[400];
	struct endpoint endpoint;
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_false(endpoint_parse(longest, "443", &endpoint));
}

static void proxies_are_parsed(void **state)
{
	static const struct {
		const char *url;
		bool ok;
		const char *host, *port, *authorization;
	} ROWS[] = {
		{"", true, "", "", ""},
		{"http://proxy:8080", true, "proxy", "8080", ""},
		{"http://proxy", true, "proxy", "3128", ""},
		{"HTTP://[::1]:8080/", true, "::1", "8080", ""},
		{"http://Aladdin:open%20sesame@proxy:1", true, "proxy", "1",
			"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 2 */
		{"http://u:p@ss@proxy:1", true, "proxy", "1", "Basic dTpwQHNz"},
		{"https://proxy:1", false, NULL, NULL, NULL},
		{"proxy:8080", false, NULL, NULL, NULL},
		{"http://proxy:8080/path", false, NULL, NULL, NULL},
		{"http://u:%zz@proxy:1", false, NULL, NULL, NULL},
		{"http://u:%0@proxy:1", false, NULL, NULL, NULL},
		{"http://u:%00@proxy:1", false, NULL, NULL, NULL},
		{"http://", false, NULL, NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(ROWS); i++) {
		struct proxy proxy;
		if (proxy_parse(ROWS[i].url, &proxy) != ROWS[i].ok)
			fail_msg("%s", ROWS[i].url);
		if (!ROWS[i].ok)
			continue;
		assert_string_equal(proxy.at.host, ROWS[i].host);
		assert_string_equal(proxy.at.port, ROWS[i].port);
		assert_string_equal(proxy.authorization, ROWS[i].authorization);
	}
}

static void tunnels_open_or_not(void **state)
{
	static const struct {
		const char *answer;
		enum tunnel_state state;
		bool alarm;
	} ROWS[] = {
		{"", TUNNEL_MORE, false},
		{"HT", TUNNEL_MORE, false},
		{"HTTP/1.1 200 OK\r\n", TUNNEL_MORE, false},
		{"HTTP/1.1 200 OK\r\n\r\n", TUNNEL_OPEN, false},
		{"HTTP/1.0 200\r\nVia: x\r\n\r\n", TUNNEL_OPEN, false},
		{"HTTP/1.1 204 x\r\n\r\n", TUNNEL_OPEN, false},
		{"HTTP/1.1 200 OK\r\n\r\nx", TUNNEL_REFUSED, false},
		{"HTTP/1.1 407 x\r\n\r\n", TUNNEL_REFUSED, true},
		{"HTTP/1.1 503 x\r\n\r\n", TUNNEL_REFUSED, false},
		{"HTTP/1.1 2\r\n\r\n", TUNNEL_REFUSED, false},
		{"HTTP/1.1\r\n\r\n", TUNNEL_REFUSED, false},
		{"HTTX", TUNNEL_REFUSED, false},
		{"\x15\x03\x01", TUNNEL_REFUSED, false},
	};
	char why[160];
	bool alarm;

	(void)state;
	for (size_t i = 0; i < COUNT(ROWS); i++) {
		enum tunnel_state got = tunnel_answer(
			ROWS[i].answer, strlen(ROWS[i].answer), &alarm, why, sizeof(why));
		if (got != ROWS[i].state || alarm != ROWS[i].alarm)
			fail_msg("row %zu: %d", i, got);
	}
	static char endless[TUNNEL_ANSWER_MAX];
	memset(endless, 'x', sizeof(endless));
	memcpy(endless, "HTTP/1.1 200 ", 13);
	assert_int_equal(
		tunnel_answer(endless, sizeof(endless), &alarm, why, sizeof(why)), TUNNEL_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoints_are_parsed),
		cmocka_unit_test(proxies_are_parsed),
		cmocka_unit_test(tunnels_open_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
