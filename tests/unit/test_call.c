/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pbxpush/core/call.h>
#include <pbxpush/core/device.h>
#include <pbxpush/core/push.h>

/* The spellings are the contract's: programs that we do not know compare them. */
static void names_of_calls(void **state)
{
	(void)state;
	assert_string_equal(verdict_name(VERDICT_PUSH), "push");
	assert_string_equal(verdict_name(VERDICT_REGISTERED), "registered");
	assert_string_equal(verdict_name(VERDICT_REJECT), "reject");
	assert_string_equal(verdict_name(VERDICT_UNREACHABLE), "unreachable");
	assert_string_equal(verdict_name(VERDICT_ENDED), "ended");

	assert_string_equal(call_state_name(CALL_RINGING), "ringing");
	assert_string_equal(call_state_name(CALL_UNKNOWN), "unknown");

	assert_string_equal(wait_mode_name(WAIT_VERDICT), "verdict");
	assert_string_equal(wait_mode_name(WAIT_PUSH), "push");
	assert_string_equal(wait_mode_name(WAIT_REGISTER), "register");
}

static void names_of_rules(void **state)
{
	(void)state;
	assert_null(rule_name(RULE_NONE));
	assert_string_equal(rule_name(RULE_BLOCKED), "blocked");
	assert_string_equal(rule_name(RULE_ANONYMOUS), "anonymous");
	assert_string_equal(rule_name(RULE_DND), "dnd");
	assert_string_equal(rule_name(RULE_DND_SCHEDULE), "dnd-schedule");
	assert_string_equal(rule_name(RULE_BUSY), "busy");
	assert_string_equal(rule_name(RULE_PBX_DND), "pbx-dnd");
	assert_string_equal(rule_name(RULE_PBX_BLOCKED), "pbx-blocked");
	assert_string_equal(rule_name(RULE_NO_DEVICE), "no-device");
	assert_string_equal(rule_name(RULE_DEAD_TOKEN), "dead-token");
	assert_string_equal(rule_name(RULE_PUSH_FAILED), "push-failed");
	assert_string_equal(rule_name(RULE_NO_REGISTER), "no-register");
	assert_string_equal(rule_name(RULE_OVERLOADED), "overloaded");
	assert_string_equal(rule_name(RULE_STALE), "stale");
	assert_string_equal(rule_name(RULE_ANSWERED), "answered");
	assert_string_equal(rule_name(RULE_CANCELLED), "cancelled");
	assert_string_equal(rule_name(RULE_DECLINED), "declined");
	assert_string_equal(rule_name(RULE_TIMEOUT), "timeout");
	assert_string_equal(rule_name(RULE_COMPLETED), "completed");
}

static void names_of_devices(void **state)
{
	(void)state;
	assert_string_equal(device_result_name(DEVICE_PENDING), "pending");
	assert_string_equal(device_result_name(DEVICE_ACCEPTED), "accepted");
	assert_string_equal(device_result_name(DEVICE_REJECTED), "rejected");
	assert_string_equal(device_result_name(DEVICE_FAILED), "failed");
	assert_string_equal(device_result_name(DEVICE_WITHDRAWN), "withdrawn");
	assert_string_equal(device_result_name(DEVICE_SKIPPED), "skipped");

	assert_string_equal(skip_reason_name(SKIP_NONE), "");
	assert_string_equal(skip_reason_name(SKIP_DEAD_TOKEN), "dead-token");
	assert_string_equal(skip_reason_name(SKIP_DND), "dnd");
	assert_string_equal(skip_reason_name(SKIP_RINGING), "ringing");
	assert_string_equal(skip_reason_name(SKIP_DECLINED), "declined");
	assert_string_equal(skip_reason_name(SKIP_NO_TOKEN), "no-token");
	assert_string_equal(skip_reason_name(SKIP_UNKNOWN_APP), "unknown-app");
	assert_string_equal(skip_reason_name(SKIP_SAME_PHONE), "same-phone");

	assert_string_equal(device_mode_name(MODE_UNSET), "");
	assert_string_equal(device_mode_name(MODE_VOIP), "voip");
	assert_string_equal(device_mode_name(MODE_ALERT), "alert");
	assert_string_equal(device_environment_name(ENVIRONMENT_UNSET), "");
	assert_string_equal(device_environment_name(ENVIRONMENT_AUTO), "auto");
	assert_string_equal(device_environment_name(ENVIRONMENT_PRODUCTION), "production");
	assert_string_equal(device_environment_name(ENVIRONMENT_SANDBOX), "sandbox");
}

/* apns-push-type takes these words, and the metrics' labels. */
static void names_of_pushes(void **state)
{
	(void)state;
	assert_string_equal(push_type_name(PUSH_VOIP), "voip");
	assert_string_equal(push_type_name(PUSH_ALERT), "alert");
	assert_string_equal(push_type_name(PUSH_BACKGROUND), "background");
	assert_string_equal(push_environment_name(PUSH_PRODUCTION), "production");
	assert_string_equal(push_environment_name(PUSH_SANDBOX), "sandbox");
}

static void final_states_are_rules(void **state)
{
	static const struct {
		enum call_state final;
		enum rule rule;
		const char *name;
	} rows[] = {
		{CALL_ANSWERED, RULE_ANSWERED, "answered"},
		{CALL_CANCELLED, RULE_CANCELLED, "cancelled"},
		{CALL_DECLINED, RULE_DECLINED, "declined"},
		{CALL_TIMEOUT, RULE_TIMEOUT, "timeout"},
		{CALL_COMPLETED, RULE_COMPLETED, "completed"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(call_state_rule(rows[i].final), rows[i].rule);
		assert_string_equal(call_state_name(rows[i].final), rows[i].name);
	}
	assert_int_equal(call_state_rule(CALL_RINGING), RULE_NONE);
	assert_int_equal(call_state_rule(CALL_UNKNOWN), RULE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_calls),
		cmocka_unit_test(names_of_rules),
		cmocka_unit_test(names_of_devices),
		cmocka_unit_test(names_of_pushes),
		cmocka_unit_test(final_states_are_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
