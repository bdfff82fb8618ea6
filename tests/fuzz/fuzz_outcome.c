/* SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/core/outcome.h>

/* Build with -fsanitize=fuzzer,address,undefined. What holds for every input is checked. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void check_reason(const char *reason)
{
	const char *known = NULL;

	/* push_result.reason holds it */
	check(strlen(reason) < sizeof(((struct push_result *)NULL)->reason));
	if (!reason[0] || strcmp(reason, "other") == 0)
		return;
	for (size_t i = 0; (known = outcome_reason_at(i)); i++)
		if (known == reason)
			return;
	check(false);
}

/* The first two bytes choose the status, the rest is the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 400, 403, 404, 405, 410, 413, 429, 500, 503};
	struct outcome outcome;
	const char *body;
	bool alarm;
	int status;

	if (size < 2)
		return 0;
	status = data[0] < 128 ? statuses[data[0] % 10] : data[0] << 8 | data[1];
	body = (const char *)data + 2;
	size -= 2;

	outcome = push_outcome_classify(status, body, size);
	check_reason(outcome.reason);
	check(outcome.timestamp_ms >= 0);
	check(outcome.timestamp_ms == 0 || status == 410);
	check(outcome.class <= PUSH_REJECTED_BUSY);
	check((outcome.class == PUSH_ACCEPTED) == (status >= 200 && status < 300));
	/* Only these two may cost a token. */
	check(outcome.class != PUSH_REJECTED_TOKEN || status == 400 || status == 410);

	check_reason(outcome_goaway_reason(body, size, &alarm));
	return 0;
}
