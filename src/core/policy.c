/* SPDX-License-Identifier: MIT */
#include <stddef.h>

#include <pbxpush/core/policy.h>

bool policy_dnd_holds(bool on, int64_t until_ms, int64_t now_ms)
{
	return on && (until_ms == 0 || now_ms < until_ms);
}

static struct policy_decision refuse(enum verdict verdict, enum rule rule, const char *matched)
{
	return (struct policy_decision){
		.ring = false, .verdict = verdict, .rule = rule, .matched = matched};
}

/* What an allow entry beats: the lists first, since a blocked caller must not learn of a DND. */
static struct policy_decision shielded(
	const struct policy_call *call, const struct policy_subscriber *subscriber, int64_t now_ms)
{
	if (subscriber->blocked_by)
		return refuse(VERDICT_REJECT, RULE_BLOCKED, subscriber->blocked_by);
	if (call->anonymous && subscriber->blocks_anonymous)
		return refuse(VERDICT_REJECT, RULE_ANONYMOUS, "anonymous");
	if (subscriber->repeated)
		return (struct policy_decision){.ring = true, .verdict = VERDICT_PUSH};
	if (policy_dnd_holds(subscriber->dnd, subscriber->dnd_until_ms, now_ms))
		return refuse(VERDICT_REJECT, RULE_DND, NULL);
	if (subscriber->dnd_schedule)
		return refuse(VERDICT_REJECT, RULE_DND_SCHEDULE, NULL);
	return (struct policy_decision){.ring = true, .verdict = VERDICT_PUSH};
}

struct policy_decision policy_decide(
	const struct policy_call *call, const struct policy_subscriber *subscriber, int64_t now_ms)
{
	struct policy_decision decision = {.ring = true, .verdict = VERDICT_PUSH};

	if (call->blocked)
		return refuse(VERDICT_REJECT, RULE_PBX_BLOCKED, NULL);
	if (call->dnd)
		return refuse(VERDICT_REJECT, RULE_PBX_DND, NULL);
	if (now_ms >= call->deadline_ms)
		return refuse(VERDICT_ENDED, RULE_STALE, NULL);
	if (call_state_rule(subscriber->ended) != RULE_NONE)
		return refuse(VERDICT_ENDED, call_state_rule(subscriber->ended), NULL);
	if (call->bypass)
		return decision;

	decision = shielded(call, subscriber, now_ms);
	if (!decision.ring && subscriber->allowed_by)
		decision = (struct policy_decision){
			.ring = true, .verdict = VERDICT_PUSH, .matched = subscriber->allowed_by};
	if (decision.ring && subscriber->busy && !subscriber->call_waiting)
		decision = refuse(VERDICT_REJECT, RULE_BUSY, NULL);
	return decision;
}
