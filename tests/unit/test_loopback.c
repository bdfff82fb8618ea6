/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pbxpush/base/loopback.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_parse(void **state)
{
	static const struct {
		const char *text, *address; /* NULL: refused */
		int port;
	} rows[] = {
		{"127.0.0.1:8599", "127.0.0.1", 8599},
		{"127.0.0.1:1", "127.0.0.1", 1},
		{"127.255.255.254:65535", "127.255.255.254", 65535},
		{"localhost:8599", "127.0.0.1", 8599},
		{"[::1]:8599", "::1", 8599},
		{"", NULL, 0},
		{"127.0.0.1", NULL, 0},
		{"127.0.0.1:", NULL, 0},
		{"127.0.0.1:0", NULL, 0},
		{"127.0.0.1:65536", NULL, 0},
		{"127.0.0.1:99999999999999999999", NULL, 0},
		{"127.0.0.1:+1", NULL, 0},
		{"127.0.0.1: 1", NULL, 0},
		{"127.0.0.1:1 ", NULL, 0},
		{" 127.0.0.1:1", NULL, 0},
		{":8599", NULL, 0},
		{"8599", NULL, 0},
		{"127.1:8599", NULL, 0},
		{"0127.0.0.1:8599", NULL, 0},
		{"2130706433:8599", NULL, 0},
		{"0.0.0.0:8599", NULL, 0},
		{"126.255.255.255:8599", NULL, 0},
		{"128.0.0.1:8599", NULL, 0},
		{"192.0.2.1:8599", NULL, 0},
		{"255.127.0.1:8599", NULL, 0},
		{"*:8599", NULL, 0},
		{"::1:8599", NULL, 0},
		{"[::]:8599", NULL, 0},
		{"[::2]:8599", NULL, 0},
		{"[0:0:0:0:0:0:0:1]:8599", NULL, 0},
		{"[::ffff:127.0.0.1]:8599", NULL, 0},
		{"[fe80::1%lo]:8599", NULL, 0},
		{"LOCALHOST:8599", NULL, 0},
		{"localhost.:8599", NULL, 0},
		{"localhost.example.com:8599", NULL, 0},
		{"a-name-that-is-longer-than-any-address.example.com:8599", NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sockaddr_storage address;
		struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
		struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
		char text[64];
		socklen_t len;
		enum err err = loopback_parse(rows[i].text, &address, &len);

		if (err != (rows[i].address ? ERR_OK : ERR_INVAL))
			fail_msg("%s: %d", rows[i].text, err);
		if (err)
			continue;
		assert_non_null(inet_ntop(address.ss_family,
			address.ss_family == AF_INET ? (void *)&v4->sin_addr
						     : (void *)&v6->sin6_addr,
			text, sizeof(text)));
		assert_string_equal(text, rows[i].address);
		assert_int_equal(ntohs(address.ss_family == AF_INET ? v4->sin_port : v6->sin6_port),
			rows[i].port);
		assert_int_equal(len, address.ss_family == AF_INET ? sizeof(*v4) : sizeof(*v6));
	}
}

static void test_listen(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	char text[32], why[128] = "";
	int fd = socket(AF_INET, SOCK_STREAM, 0), second = -1, client;

	(void)state;
	/* a port that is free, which somebody had a moment ago */
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	close(fd);
	snprintf(text, sizeof(text), "127.0.0.1:%d", ntohs(address.sin_port));
	assert_int_equal(loopback_listen(text, &fd, why, sizeof(why)), ERR_OK);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, len), 0);
	/* an address is never shared */
	assert_int_equal(loopback_listen(text, &second, why, sizeof(why)), ERR_IO);
	assert_int_equal(second, -1);
	assert_int_equal(strncmp(why, text, strlen(text)), 0);
	assert_string_equal(why + strlen(text), ": Address already in use");
	assert_int_equal(loopback_listen("0.0.0.0:1", &second, why, sizeof(why)), ERR_INVAL);
	assert_string_equal(why, "0.0.0.0:1: not a loopback address");
	close(client);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
