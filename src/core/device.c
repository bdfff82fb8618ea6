/* SPDX-License-Identifier: MIT */
#include <pbxpush/core/device.h>

const char *device_mode_name(enum device_mode mode)
{
	static const char *const names[] = {
		[MODE_UNSET] = "",
		[MODE_VOIP] = "voip",
		[MODE_ALERT] = "alert",
	};

	return names[mode];
}

const char *device_environment_name(enum device_environment environment)
{
	static const char *const names[] = {
		[ENVIRONMENT_UNSET] = "",
		[ENVIRONMENT_AUTO] = "auto",
		[ENVIRONMENT_PRODUCTION] = "production",
		[ENVIRONMENT_SANDBOX] = "sandbox",
	};

	return names[environment];
}
