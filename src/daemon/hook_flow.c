/* SPDX-License-Identifier: MIT */
/* What the PBX's own web application is told of: which events, and each once. */
#include "flow_internal.h"

#include <string.h>

bool flow_hook_wanted(const struct flow *flow)
{
	return flow->config->hook_url[0] && flow->ports.hook.tell;
}

static void tell(struct flow *flow, struct hook_event *event)
{
	event->at_ms = flow->now_ms;
	flow->ports.hook.tell(flow->ports.hook.self, event);
}

/* The event of a call, still without what tells its kinds apart. */
static struct hook_event event_of_call(enum hook_event_type type, const struct callee *callee)
{
	return (struct hook_event){.type = type,
		.user = callee->user,
		.call = callee->call->id,
		.uuid = callee->uuid,
		.attempt = callee->attempt,
		.started_ms = callee->started_ms};
}

/* A token of `contacts` that is dead is found dead by every call: the first one counts. */
static bool is_new_death(struct flow *flow, const struct hook_event *event)
{
	uint64_t key = map_hash(event->token, strlen(event->token)) ^ (uint64_t)event->died_ms;
	uint64_t *place = &flow->told_dead[key % FLOW_TOLD_DEAD];

	if (*place == key)
		return false;
	*place = key;
	return true;
}

void flow_tell_dead_token(struct flow *flow, struct hook_event *event, size_t changed)
{
	struct device device;
	bool known = event->user && directory_find_token(flow->ports.directory, event->user,
					    event->token, &device);

	/* Known, and no device changed: dead already, or registered since its death. */
	if (!flow_hook_wanted(flow) || (!changed && (known || !is_new_death(flow, event))))
		return;
	event->type = HOOK_DEAD_TOKEN;
	tell(flow, event);
}

/* A phone that rings needed no REGISTER that we hear of. */
static bool rings_somewhere(const struct callee *callee)
{
	for (size_t i = 0; i < callee->target_count; i++) {
		if (callee->targets[i].rings)
			return true;
	}
	return false;
}

void flow_tell_no_register(struct flow *flow, struct callee *callee)
{
	struct hook_event event = event_of_call(HOOK_NO_REGISTER, callee);
	struct reply_call stands;

	if (!flow_hook_wanted(flow) || rings_somewhere(callee))
		return;
	callee_stands(flow, callee, NULL, WAIT_REGISTER, true, &stands);
	if (stands.rule != RULE_NO_REGISTER)
		return;
	event.devices = stands.devices;
	event.device_count = stands.device_count;
	tell(flow, &event);
}

/* The calls that [alerts] missed-call counts, too: those that rang in vain, and those that
 * do-not-disturb refused, which are missed at once. NULL: not missed. */
static const char *how_missed(const struct callee *callee)
{
	bool dnd = callee->rule == RULE_DND || callee->rule == RULE_DND_SCHEDULE;

	if (callee->decided == VERDICT_REJECT)
		return dnd && callee->state == CALL_RINGING ? "rejected" : NULL;
	if (callee->decided != VERDICT_PUSH)
		return NULL;
	return callee->state == CALL_CANCELLED || callee->state == CALL_TIMEOUT
		       ? call_state_name(callee->state)
		       : NULL;
}

void flow_tell_missed_call(
	struct flow *flow, const struct callee *callee, const struct call_event *event)
{
	struct hook_event missed = event_of_call(HOOK_MISSED_CALL, callee);
	struct caller caller;

	missed.state = how_missed(callee);
	if (!flow_hook_wanted(flow) || !missed.state || !event)
		return;
	/* in full: no app's caller-id rules what stays in the house */
	caller_fill(event, flow->config, &flow->numbers, NULL, &caller);
	missed.from_number = caller.withheld ? "anonymous" : caller.number;
	missed.from_name = caller.name && caller.name[0] ? caller.name : NULL;
	missed.rule = rule_name(callee->rule);
	tell(flow, &missed);
}
