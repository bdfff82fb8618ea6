/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/push.h>

const char *push_type_name(enum push_type type)
{
	static const char *const names[] = {
		[PUSH_VOIP] = "voip",
		[PUSH_ALERT] = "alert",
		[PUSH_BACKGROUND] = "background",
	};

	return names[type];
}

const char *push_environment_name(enum push_environment environment)
{
	static const char *const names[] = {
		[PUSH_PRODUCTION] = "production",
		[PUSH_SANDBOX] = "sandbox",
	};

	return names[environment];
}
