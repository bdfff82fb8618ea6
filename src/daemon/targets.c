/* SPDX-License-Identifier: MIT */
/* Which phones a call goes to, and how each is told. */
#include "flow_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/base/log.h>
#include <pbxpush/core/policy.h>

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

enum err target_init(struct target *target, const char *name, const char *app, const char *contact,
	const char *token)
{
	size_t name_size = strlen(name) + 1, app_size = strlen(app) + 1;
	size_t token_size = strlen(token) + 1;
	char *text;

	*target = (struct target){.result = DEVICE_SKIPPED, .wake_ms = -1};
	contact = or_empty(contact);
	target->name = text = malloc(name_size + app_size + token_size + strlen(contact) + 1);
	if (!text)
		return ERR_NOMEM;
	memcpy(text, name, name_size);
	target->app = memcpy(text += name_size, app, app_size);
	target->token = memcpy(text += app_size, token, token_size);
	target->contact = strcpy(text + token_size, contact);
	return ERR_OK;
}

/* True when this call wakes the phone already: under another user, or another name. */
static bool is_taken(const struct callee *callee, const char *token)
{
	const struct target *carrier = callee_find_carrier(callee, token);

	return carrier && target_is_waking(carrier);
}

void target_choose_environment(
	struct target *target, const struct device *device, const struct config_app *app)
{
	enum device_environment environment =
		device->environment ? device->environment : app->environment;

	if (environment == ENVIRONMENT_AUTO) {
		target->may_probe = true;
		target->learn = true;
		environment = device->learned;
	}
	target->environment = environment == ENVIRONMENT_SANDBOX ? PUSH_SANDBOX : PUSH_PRODUCTION;
}

/* Past the ghost-limit a device that can be alerted is no longer sent VoIP pushes, until it
 * registers. */
static bool is_ghostly(const struct flow *flow, const struct device *device)
{
	return flow->config->ghost_limit && device->ghosts >= flow->config->ghost_limit &&
	       device->alert_token[0];
}

static enum push_type choose_push(const struct device *device, const struct config_app *app)
{
	/* A phone that gave an ordinary token only can be told by alert only (CONTRACT 2.2). */
	if (device->mode == MODE_UNSET && !device->token[0] && device->alert_token[0])
		return PUSH_ALERT;
	return (device->mode ? device->mode : app->mode) == MODE_ALERT ? PUSH_ALERT : PUSH_VOIP;
}

static enum skip_reason why_skip(const struct callee *callee, const struct device *device,
	const struct target *target, bool dnd_counts, int64_t now_ms)
{
	bool alert = target->push == PUSH_ALERT;

	if (!target->token[0])
		return SKIP_NO_TOKEN;
	if ((alert ? device->alert_token_state : device->token_state) != TOKEN_OK)
		return SKIP_DEAD_TOKEN;
	if (dnd_counts && policy_dnd_holds(device->dnd, device->dnd_until_ms, now_ms))
		return SKIP_DND;
	if (is_taken(callee, target->token))
		return SKIP_SAME_PHONE;
	return SKIP_NONE;
}

static enum err add_target(
	struct flow *flow, struct callee *callee, const struct device *device, bool dnd_counts)
{
	struct target *target = &callee->targets[callee->target_count];
	const struct config_app *known = config_find_app(flow->config, device->app);
	const struct config_app *app =
		known && config_app_allows(known, callee->user) ? known : NULL;
	enum push_type push = app ? choose_push(device, app) : PUSH_VOIP;
	bool ghostly = push == PUSH_VOIP && is_ghostly(flow, device);
	int64_t now_ms = flow->now_ms;
	enum err err;

	if (ghostly) {
		push = PUSH_ALERT;
		log_warning("call", "user=%s device=%s ghosts=%d alert mode until it registers",
			flow_shown(flow, callee->user), flow_word(device->name), device->ghosts);
	}
	err = target_init(target, device->name, device->app, device->contact,
		push == PUSH_ALERT ? device->alert_token : device->token);
	callee->target_count++;
	if (err)
		return err;
	target->push = push;
	target->skip = SKIP_UNKNOWN_APP;
	if (!app)
		return ERR_OK;
	target_choose_environment(target, device, app);
	target->skip = why_skip(callee, device, target, dnd_counts, now_ms);
	target->shared = target->skip == SKIP_SAME_PHONE;
	if (target->skip)
		return ERR_OK;
	target->result = DEVICE_PENDING;
	if (flow->config->registered_delay_ms && device->registered_until_ms > now_ms) {
		/* The INVITE may reach it without a push: the PBX sends it now, the push waits. */
		target->send_at_us = callee->read_us + flow->config->registered_delay_ms * 1000;
		target->registered = true;
	}
	return ERR_OK;
}

/* A phone without push data cannot be woken, but while it is registered it can be called. */
static void note_presence(struct callee *callee, const struct device *device, int64_t now_ms)
{
	if (device->registered_until_ms <= now_ms || callee->present)
		return;
	callee->present = true;
	callee->contact = strdup(device->contact);
}

static enum err from_directory(struct flow *flow, struct callee *callee, bool dnd_counts)
{
	size_t count = directory_devices(
		flow->ports.directory, callee->user, flow->devices, FLOW_DEVICES_MAX);

	callee->targets = calloc(count ? count : 1, sizeof(*callee->targets));
	if (!callee->targets)
		return ERR_NOMEM;
	for (size_t i = 0; i < count; i++) {
		const struct device *device = &flow->devices[i];

		if (!device->token[0] && !device->alert_token[0])
			note_presence(callee, device, flow->now_ms);
		else if (add_target(flow, callee, device, dnd_counts))
			return ERR_NOMEM;
	}
	return ERR_OK;
}

/* A contact of the event as a device. False: nothing that could be pushed to. */
static bool device_of_contact(struct flow *flow, const struct callee *callee, const char *text,
	struct contact *contact, struct push_params *params, struct device *out)
{
	const struct config_app *app;
	const char *field;

	if (contact_parse(text, contact) || !contact->has_provider || !contact->has_prid)
		return false;
	if (push_params_parse(
		    contact->pn_provider, contact->pn_param, contact->pn_prid, params, &field))
		return false;
	app = config_find_app(flow->config, params->app);
	if (app && strcmp(params->team, app->team_id) != 0)
		params->app[0] = '\0'; /* another team's token: our key cannot reach it */
	/* A token the directory knows brings its name, state and do-not-disturb along. */
	if (!directory_find_token(flow->ports.directory, callee->user,
		    params->token[0] ? params->token : params->alert_token, out)) {
		*out = (struct device){.user = callee->user, .name = contact->instance};
		memcpy(out->token, params->token, sizeof(out->token));
		memcpy(out->alert_token, params->alert_token, sizeof(out->alert_token));
	}
	if (params->sandbox)
		out->environment = ENVIRONMENT_SANDBOX;
	out->app = params->app;
	out->contact = contact->uri;
	return true;
}

static enum err from_contacts(struct flow *flow, struct callee *callee, bool dnd_counts)
{
	const struct string_list *contacts = &callee->event->contacts;
	const char *item = contacts->first;
	struct contact contact;
	struct push_params params;
	struct device *device = &flow->devices[0];
	char name[32];

	callee->targets = calloc(contacts->count + 1, sizeof(*callee->targets));
	if (!callee->targets)
		return ERR_NOMEM;
	for (size_t i = 0; i < contacts->count; i++, item += strlen(item) + 1) {
		if (!device_of_contact(flow, callee, item, &contact, &params, device))
			continue; /* a desk phone's contact: the PBX reaches it without us */
		if (!device->name[0]) {
			snprintf(name, sizeof(name), "token-%.8s",
				device->token[0] ? device->token : device->alert_token);
			device->name = name;
		}
		if (add_target(flow, callee, device, dnd_counts))
			return ERR_NOMEM;
	}
	return ERR_OK;
}

enum err targets_make(struct flow *flow, struct callee *callee, bool dnd_counts)
{
	enum err err = event_has(callee->event, FIELD_CONTACTS)
			       ? from_contacts(flow, callee, dnd_counts)
			       : from_directory(flow, callee, dnd_counts);

	while (err && callee->target_count) /* half of them are worse than none */
		target_clear(&callee->targets[--callee->target_count]);
	return err;
}
