/* SPDX-License-Identifier: MIT */
#include <pbxpush/hook/retry.h>

enum hook_answer hook_judge(int status)
{
	if (status < 200 || status == 408 || status == 429 || status >= 500)
		return HOOK_AGAIN;
	return status < 300 ? HOOK_TAKEN : HOOK_REFUSED;
}

int64_t hook_backoff_ms(int tries, int64_t retry_after_s, uint32_t random)
{
	int64_t delay_ms = HOOK_BACKOFF_FIRST_MS, asked_ms;

	while (--tries > 0 && delay_ms < HOOK_BACKOFF_MAX_MS)
		delay_ms *= 2;
	if (delay_ms > HOOK_BACKOFF_MAX_MS)
		delay_ms = HOOK_BACKOFF_MAX_MS;
	delay_ms -= (int64_t)((uint64_t)delay_ms / 2 * random / UINT32_MAX);
	if (retry_after_s < 0)
		retry_after_s = 0;
	if (retry_after_s > HOOK_BACKOFF_MAX_MS / 1000)
		retry_after_s = HOOK_BACKOFF_MAX_MS / 1000;
	asked_ms = retry_after_s * 1000;
	return asked_ms > delay_ms ? asked_ms : delay_ms;
}
