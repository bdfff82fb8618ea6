/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pbxpush/core/policy.h>

#define NOW      1763790000000
#define DEADLINE (NOW + 30000)

/* What may stop a call, in the order in which it is asked. */
enum condition {
	PBX_BLOCKED,
	PBX_DND,
	STALE,
	ENDED,
	BLOCKED,
	ANONYMOUS,
	DND,
	BUSY,
	CONDITIONS,
};

#define BIT(condition)  (1U << (condition))
#define EVERY_SET       (1U << CONDITIONS)
#define ALLOWED_PASSES  (BIT(BLOCKED) | BIT(ANONYMOUS) | BIT(DND))
#define BYPASSED_PASSES (ALLOWED_PASSES | BIT(BUSY))

static const struct {
	enum verdict verdict;
	enum rule rule;
	const char *matched;
} expected[CONDITIONS] = {
	[PBX_BLOCKED] = {VERDICT_REJECT, RULE_PBX_BLOCKED, NULL},
	[PBX_DND] = {VERDICT_REJECT, RULE_PBX_DND, NULL},
	[STALE] = {VERDICT_ENDED, RULE_STALE, NULL},
	[ENDED] = {VERDICT_ENDED, RULE_CANCELLED, NULL},
	[BLOCKED] = {VERDICT_REJECT, RULE_BLOCKED, "+4990*"},
	[ANONYMOUS] = {VERDICT_REJECT, RULE_ANONYMOUS, "anonymous"},
	[DND] = {VERDICT_REJECT, RULE_DND, NULL},
	[BUSY] = {VERDICT_REJECT, RULE_BUSY, NULL},
};

struct world {
	struct policy_call call;
	struct policy_subscriber subscriber;
};

static bool holds(unsigned set, enum condition condition)
{
	return set >> condition & 1;
}

static struct world world_where(unsigned set)
{
	return (struct world){
		.call =
			{
				.blocked = holds(set, PBX_BLOCKED),
				.dnd = holds(set, PBX_DND),
				.deadline_ms = holds(set, STALE) ? NOW : DEADLINE,
				.anonymous = holds(set, ANONYMOUS),
			},
		.subscriber =
			{
				.ended = holds(set, ENDED) ? CALL_CANCELLED : CALL_RINGING,
				.blocked_by = holds(set, BLOCKED) ? "+4990*" : NULL,
				.blocks_anonymous = holds(set, ANONYMOUS),
				.dnd = holds(set, DND),
				.busy = holds(set, BUSY),
			},
	};
}

static struct policy_decision decide(const struct world *world)
{
	return policy_decide(&world->call, &world->subscriber, NOW);
}

static void assert_rings(const struct world *world)
{
	struct policy_decision decision = decide(world);

	assert_true(decision.ring);
	assert_int_equal(decision.verdict, VERDICT_PUSH);
	assert_int_equal(decision.rule, RULE_NONE);
}

static void assert_stopped_by(const struct world *world, enum condition condition)
{
	struct policy_decision decision = decide(world);

	assert_false(decision.ring);
	assert_int_equal(decision.verdict, expected[condition].verdict);
	assert_int_equal(decision.rule, expected[condition].rule);
	if (expected[condition].matched)
		assert_string_equal(decision.matched, expected[condition].matched);
	else
		assert_null(decision.matched);
}

/* Of the conditions in the set the first decides; an empty set rings. */
static void assert_first_decides(const struct world *world, unsigned set)
{
	enum condition first = 0;

	if (set == 0) {
		assert_rings(world);
		return;
	}
	while (!holds(set, first))
		first++;
	assert_stopped_by(world, first);
}

static void an_ordinary_call_rings(void **state)
{
	struct world world = world_where(0);

	(void)state;
	assert_rings(&world);
	assert_null(decide(&world).matched);
}

static void the_first_rule_in_order_decides(void **state)
{
	(void)state;
	for (unsigned set = 0; set < EVERY_SET; set++) {
		struct world world = world_where(set);

		assert_first_decides(&world, set);
	}
}

static void an_allowed_caller_passes_lists_and_dnd(void **state)
{
	(void)state;
	for (unsigned set = 0; set < EVERY_SET; set++) {
		struct world world = world_where(set);

		world.subscriber.allowed_by = "+49301";
		assert_first_decides(&world, set & ~ALLOWED_PASSES);
	}
}

static void bypass_passes_lists_dnd_and_busy(void **state)
{
	(void)state;
	for (unsigned set = 0; set < EVERY_SET; set++) {
		struct world world = world_where(set);

		world.call.bypass = true;
		assert_first_decides(&world, set & ~BYPASSED_PASSES);
	}
}

static void an_allow_entry_is_named_where_it_decided(void **state)
{
	struct world plain = world_where(0), blocked = world_where(BIT(BLOCKED));

	(void)state;
	plain.subscriber.allowed_by = blocked.subscriber.allowed_by = "+49301";
	assert_null(decide(&plain).matched);
	assert_string_equal(decide(&blocked).matched, "+49301");
}

static void anonymous_takes_the_caller_and_the_list(void **state)
{
	struct world caller = world_where(0), list = world_where(0);

	(void)state;
	caller.call.anonymous = true;
	assert_rings(&caller);
	list.subscriber.blocks_anonymous = true;
	assert_rings(&list);
}

static void call_waiting_lets_a_second_call_ring(void **state)
{
	struct world world = world_where(BIT(BUSY));

	(void)state;
	world.subscriber.call_waiting = true;
	assert_rings(&world);
}

static void the_deadline_itself_is_too_late(void **state)
{
	struct world world = world_where(0);

	(void)state;
	world.call.deadline_ms = NOW + 1;
	assert_rings(&world);
	world.call.deadline_ms = NOW;
	assert_stopped_by(&world, STALE);
	world.call.deadline_ms = NOW - 1;
	assert_stopped_by(&world, STALE);
}

static void an_end_that_overtook_gives_its_reason(void **state)
{
	static const struct {
		enum call_state ended;
		enum rule rule;
	} rows[] = {
		{CALL_ANSWERED, RULE_ANSWERED},
		{CALL_CANCELLED, RULE_CANCELLED},
		{CALL_DECLINED, RULE_DECLINED},
		{CALL_TIMEOUT, RULE_TIMEOUT},
		{CALL_COMPLETED, RULE_COMPLETED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world = world_where(0);

		world.subscriber.ended = rows[i].ended;
		assert_false(decide(&world).ring);
		assert_int_equal(decide(&world).verdict, VERDICT_ENDED);
		assert_int_equal(decide(&world).rule, rows[i].rule);
	}
}

static void dnd_holds_until_its_end(void **state)
{
	static const struct {
		const char *name;
		bool on;
		int64_t until_ms;
		bool holds;
	} rows[] = {
		{"off", false, 0, false},
		{"off, an end is left over", false, NOW + 1, false},
		{"on without end", true, 0, true},
		{"on, the end is ahead", true, NOW + 1, true},
		{"on, the end is now", true, NOW, false},
		{"on, the end is past", true, NOW - 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world world = world_where(0);

		world.subscriber.dnd = rows[i].on;
		world.subscriber.dnd_until_ms = rows[i].until_ms;
		if (policy_dnd_holds(rows[i].on, rows[i].until_ms, NOW) != rows[i].holds)
			fail_msg("%s", rows[i].name);
		if (decide(&world).ring == rows[i].holds)
			fail_msg("%s: the decision", rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ordinary_call_rings),
		cmocka_unit_test(the_first_rule_in_order_decides),
		cmocka_unit_test(an_allowed_caller_passes_lists_and_dnd),
		cmocka_unit_test(bypass_passes_lists_dnd_and_busy),
		cmocka_unit_test(an_allow_entry_is_named_where_it_decided),
		cmocka_unit_test(anonymous_takes_the_caller_and_the_list),
		cmocka_unit_test(call_waiting_lets_a_second_call_ring),
		cmocka_unit_test(the_deadline_itself_is_too_late),
		cmocka_unit_test(an_end_that_overtook_gives_its_reason),
		cmocka_unit_test(dnd_holds_until_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
