/* SPDX-License-Identifier: MIT */
/* `register`, `unregister`, `forget`: where phones are, and whom their REGISTER releases. */
#include "flow_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SIP's usual expiry, for a REGISTER that does not say (RFC 3261 10.2.1.1). */
#define DEFAULT_EXPIRES_S 3600

/* What a register event says, with contact and RFC 8599 parameters understood. */
struct phone {
	char user[AOR_SIZE];
	struct contact contact;
	struct push_params params;
	char token[PUSH_TOKEN_SIZE], alert_token[PUSH_TOKEN_SIZE];
	const char *device; /* NULL where it names itself not */
	const char *uri;    /* contact URI, NULL where absent */
	const struct config_app *app;
	enum device_environment environment;
	bool query;         /* pn-provider without pn-prid: asks what we support, changes nothing */
	const char *reason; /* why no push data is stored, NULL where it is */
	bool known;         /* its name was known before */
	char was[DEVICE_NAME_SIZE]; /* its token was known under this name, "" where it was not */
};

static bool read_contact(struct flow *flow, struct request *request, struct phone *phone)
{
	const struct call_event *event = &request->event;

	phone->contact.expires_s = -1;
	phone->device = event->device;
	if (!event->contact)
		return true;
	if (contact_parse(event->contact, &phone->contact)) {
		flow_reply_error(flow, request, EVENT_BAD_FIELD, "contact",
			"'contact' is neither a SIP URI nor a Contact value");
		return false;
	}
	if (!phone->contact.star)
		phone->uri = phone->contact.uri;
	if (!phone->device && phone->contact.instance[0])
		phone->device = phone->contact.instance;
	return true;
}

/* The RFC 8599 parameters: those of `pn`, else those inside the contact. */
static bool read_params(struct flow *flow, struct request *request, struct phone *phone)
{
	const struct call_event *event = &request->event;
	const struct contact *contact = &phone->contact;
	bool from_pn = event_has(event, FIELD_PN);
	const char *provider = from_pn ? event->pn_provider : contact->pn_provider;
	const char *param = from_pn ? event->pn_param : contact->pn_param;
	const char *prid = from_pn ? event->pn_prid : contact->pn_prid;
	const char *blamed;
	enum err err;

	if (from_pn ? !provider && !prid : !contact->has_provider && !contact->has_prid)
		return true;
	if (!prid || !prid[0]) {
		phone->query = true;
		return true;
	}
	err = push_params_parse(
		provider ? provider : "", param ? param : "", prid, &phone->params, &blamed);
	if (err == ERR_NOTFOUND) {
		phone->reason = "unsupported-provider";
		return true;
	}
	if (err) {
		char field[32];

		snprintf(field, sizeof(field), from_pn ? "pn.%s" : "contact", blamed);
		flow_reply_error(flow, request, EVENT_BAD_FIELD, field, "pn-%s is broken", blamed);
		return false;
	}
	strcpy(phone->token, phone->params.token);
	strcpy(phone->alert_token, phone->params.alert_token);
	if (phone->params.sandbox)
		phone->environment = ENVIRONMENT_SANDBOX;
	return true;
}

/* The app whose key can push to this phone. */
static bool read_app(struct flow *flow, struct request *request, struct phone *phone)
{
	const struct config *config = flow->config;
	const char *name = request->event.app ? request->event.app : phone->params.app;

	if (phone->reason || phone->query)
		return true;
	if (!phone->token[0] && !phone->alert_token[0]) {
		phone->reason = "no-push-data";
		return true;
	}
	if (!name[0] && config->app_count != 1) {
		flow_reply_error(flow, request, EVENT_MISSING_FIELD, "app",
			"'register' with a token needs 'app' where several are configured");
		return false;
	}
	phone->app = name[0] ? config_find_app(config, name) : &config->apps[0];
	/* Another team's token cannot be reached with our team's key. */
	if (!phone->app ||
		(phone->params.team[0] && strcmp(phone->params.team, phone->app->team_id) != 0)) {
		phone->app = NULL;
		phone->reason = "unknown-app";
	} else if (!config_app_allows(phone->app, phone->user)) {
		phone->app = NULL;
		phone->reason = "app-not-allowed";
	}
	return true;
}

static bool find_by_token(struct flow *flow, const struct phone *phone, struct device *out)
{
	struct directory *directory = flow->ports.directory;

	return (phone->token[0] &&
		       directory_find_token(directory, phone->user, phone->token, out)) ||
	       (phone->alert_token[0] &&
		       directory_find_token(directory, phone->user, phone->alert_token, out));
}

static bool read_phone(struct flow *flow, struct request *request, struct phone *phone)
{
	const struct call_event *event = &request->event;
	struct device device;

	if (!flow_user(flow, request, event->user, phone->user) ||
		!read_contact(flow, request, phone) || !read_params(flow, request, phone))
		return false;
	if (event->token && push_token_normalize(event->token, phone->token))
		return false; /* checked by the parser already */
	if (event->alert_token && push_token_normalize(event->alert_token, phone->alert_token))
		return false;
	if (event->environment)
		phone->environment = event->environment;
	phone->known = phone->device && directory_find_device(flow->ports.directory, phone->user,
						phone->device, &device);
	if (find_by_token(flow, phone, &device))
		snprintf(phone->was, sizeof(phone->was), "%s", device.name);
	return read_app(flow, request, phone);
}

/* A call knows a phone by the name and the token that it had when the call began. */
static struct target *target_of_phone(
	struct callee *callee, const struct phone *phone, const char *device)
{
	struct target *target = callee_find_target(callee, device, phone->token);

	return target ? target : callee_find_target(callee, phone->was, phone->alert_token);
}

/* A REGISTER of a phone that is being woken releases those who wait for it. One that names nothing
 * we know may be that phone; one of another device, or with another token, is not. */
static void wake_callee(
	struct flow *flow, struct callee *callee, const struct phone *phone, const char *device)
{
	bool nameless = !phone->known && !phone->token[0] && !phone->alert_token[0];
	struct target *target = target_of_phone(callee, phone, device);
	int64_t now_us = flow->now_us, since_us = callee->read_us;
	struct timeline_field name = timeline_text("device", target ? target->name : NULL);

	if (target && !target_is_live(callee, target))
		return;
	if (target && !target->registered) {
		if (target->accepted_us) {
			since_us = target->accepted_us;
			metrics_observe_us(
				flow->ports.metrics, METRIC_WAKE_SECONDS, now_us - since_us);
			directory_note_wake(
				flow->ports.directory, callee->user, target->name, true);
		}
		target->registered = true;
		target->wake_ms = (now_us - since_us) / 1000;
		if (phone->uri) {
			free(target->new_contact);
			target->new_contact = strdup(phone->uri);
			target->contact = target->new_contact ? target->new_contact : "";
		}
	} else if (!target && nameless && !callee->woken) {
		callee->woken = true;
		callee->wake_ms = (now_us - since_us) / 1000;
		free(callee->contact);
		callee->contact = phone->uri ? strdup(phone->uri) : NULL;
	} else {
		return;
	}
	flow_story(flow, callee->call->id, NULL, "register", &name, 1);
	callee_settle(flow, callee);
}

static void wake_callees(struct flow *flow, const struct phone *phone, const char *device)
{
	struct callee *callee = NULL;

	while ((callee = calls_of_user(&flow->calls, phone->user, callee))) {
		if (callee->state != CALL_RINGING || callee->decided != VERDICT_PUSH)
			continue;
		for (size_t i = 0; i < callee->target_count; i++) {
			if (!target_is_live(callee, &callee->targets[i]))
				continue;
			wake_callee(flow, callee, phone, device);
			break;
		}
	}
}

/* True when this call's push went to the target, or is on its way. */
static bool was_pushed(const struct target *target)
{
	if (target->result == DEVICE_SKIPPED)
		return target->shared || target->skip == SKIP_DECLINED ||
		       target->skip == SKIP_RINGING;
	return target->result != DEVICE_WITHDRAWN && target->result != DEVICE_REJECTED;
}

/* The target of this phone in a callee, or for a phone that identifies nothing, the first one
 * pushed to. */
static const struct target *pushed_target(
	struct callee *callee, const struct phone *phone, const char *device)
{
	bool nameless = !device && !phone->token[0] && !phone->alert_token[0];
	const struct target *target = target_of_phone(callee, phone, device);

	for (size_t i = 0; !target && nameless && i < callee->target_count; i++) {
		if (was_pushed(&callee->targets[i]))
			target = &callee->targets[i];
	}
	return target && was_pushed(target) ? target : NULL;
}

/* `calls`: what a phone that was pushed to must know when it comes, late perhaps. */
static void write_calls(
	struct flow *flow, const struct phone *phone, const char *device, struct buf *out)
{
	struct callee *callee = NULL;
	const char *comma = "";

	buf_add_str(out, ",\"calls\":[");
	while ((callee = calls_of_user(&flow->calls, phone->user, callee))) {
		const struct target *target = pushed_target(callee, phone, device);

		if (!target)
			continue;
		buf_add_str(out, comma);
		comma = ",";
		buf_add_str(out, "{\"call\":");
		buf_add_json(out, callee->call->id);
		reply_add_string(out, "uuid", callee->uuid);
		reply_add_string(out, "state",
			call_state_name(target->out && callee->state == CALL_RINGING
						? CALL_DECLINED
						: callee->state));
		reply_add_string(out, "device", callee->answered_by);
		reply_add_int(out, "expires_ms", callee->deadline_ms);
		if (callee->ended_ms)
			reply_add_int(out, "ended_ms", callee->ended_ms);
		else
			buf_add_str(out, ",\"ended_ms\":null");
		buf_add_char(out, '}');
	}
	buf_add_char(out, ']');
}

static const char *token_state(struct flow *flow, const struct phone *phone, const char *device)
{
	struct device known;

	if (!device || !directory_find_device(flow->ports.directory, phone->user, device, &known) ||
		(!known.token[0] && !known.alert_token[0]))
		return NULL;
	return (known.token[0] ? known.token_state : known.alert_token_state) == TOKEN_OK ? "ok"
											  : "dead";
}

static void write_registered(struct flow *flow, const struct phone *phone, const char *device,
	const char *moved_from, struct buf *out)
{
	reply_add_bool(out, "stored", !phone->reason);
	if (phone->reason)
		reply_add_string(out, "reason", phone->reason);
	reply_add_string(out, "device", device);
	reply_add_string(out, "token_state", token_state(flow, phone, device));
	if (moved_from[0])
		reply_add_string(out, "moved_from", moved_from);
	reply_add_string(out, "feature_caps", "*;+sip.pns=\"apns\"");
	write_calls(flow, phone, device, out);
}

static void answer_unchanged(struct flow *flow, struct request *request, struct phone *phone)
{
	struct buf *out = flow_reply_begin(flow, request);

	if (!phone->reason)
		phone->reason = "no-push-data";
	write_registered(flow, phone, phone->device, "", out);
	flow_reply_end(flow, request);
}

static void store_phone(
	struct flow *flow, struct request *request, struct phone *phone, int64_t expires_s)
{
	const struct call_event *event = &request->event;
	int64_t now_ms = flow->now_ms;
	bool push_data = !phone->reason;
	struct registration registration = {
		.user = phone->user,
		.device = phone->device,
		.contact = phone->uri,
		.app = push_data ? phone->app->bundle_id : NULL,
		.token = push_data && phone->token[0] ? phone->token : NULL,
		.alert_token = push_data && phone->alert_token[0] ? phone->alert_token : NULL,
		.mode = event->mode,
		.environment = phone->environment,
		.presence = event->sip,
		.expires_ms = now_ms + expires_s * 1000,
		.now_ms = now_ms,
		.single_account = push_data && phone->app->accounts == 1,
	};
	struct registration_result result = {0};
	struct storing *storing = flow_store_begin(flow, request);
	const char *device;
	enum err err;

	if (!storing)
		return;
	err = directory_register(
		flow->ports.directory, &registration, &result, flow_stored, storing);
	device = result.device[0] ? result.device : phone->device;
	if (event->sip) /* the phone is there, whatever the disk says */
		wake_callees(flow, phone, device);
	if (err) {
		flow_store_failed(storing, request, err);
		return;
	}
	write_registered(flow, phone, device, result.moved_from, flow_reply_begin(flow, request));
	flow_store_reply(storing);
}

/* A log-out: the tokens go too. Without a name, those of every device of the user. */
static enum err forget_devices(struct flow *flow, const char *user, const char *device, bool *known,
	struct storing *storing)
{
	struct directory *directory = flow->ports.directory;
	char name[DEVICE_NAME_SIZE] = "";
	size_t deleted = 0;
	enum err err;

	if (device) {
		err = directory_forget(directory, user, device, &deleted, flow_stored, storing);
		*known = deleted > 0;
		return err;
	}
	/* one after another, since each deletion ends what a lookup borrowed; the last one
	 * answers */
	while (directory_devices(directory, user, flow->devices, FLOW_DEVICES_MAX) > 1) {
		snprintf(name, sizeof(name), "%s", flow->devices[0].name);
		if (directory_forget(directory, user, name, &deleted, NULL, NULL) || !deleted)
			break; /* the last one, below, says why */
	}
	*known = directory_devices(directory, user, flow->devices, FLOW_DEVICES_MAX) > 0;
	if (*known)
		snprintf(name, sizeof(name), "%s", flow->devices[0].name);
	return directory_forget(directory, user, name, &deleted, flow_stored, storing);
}

/* The name under which the directory knows the phone: its own, its token's, or its contact's. */
static const char *device_of_phone(
	struct flow *flow, struct phone *phone, char name[DEVICE_NAME_SIZE])
{
	struct device *device = &flow->devices[0];
	const char *found = NULL;

	if (phone->device)
		return phone->device;
	if (find_by_token(flow, phone, device)) {
		found = device->name;
	} else if (phone->uri) {
		size_t count = directory_devices(
			flow->ports.directory, phone->user, flow->devices, FLOW_DEVICES_MAX);

		for (size_t i = 0; i < count && !found; i++) {
			if (!strcmp(flow->devices[i].contact, phone->uri))
				found = flow->devices[i].name;
		}
	}
	if (!found)
		return NULL;
	snprintf(name, DEVICE_NAME_SIZE, "%s", found);
	return name;
}

static void unregister_phone(struct flow *flow, struct request *request, struct phone *phone)
{
	const struct call_event *event = &request->event;
	bool logout = event->forget || (phone->contact.has_provider && !phone->contact.pn_prid[0]);
	char name[DEVICE_NAME_SIZE];
	const char *device = device_of_phone(flow, phone, name);
	bool known = false;
	struct storing *storing = flow_store_begin(flow, request);
	struct buf *out;
	enum err err;

	if (!storing)
		return;
	if (logout && (device || (!phone->uri && !event->device)))
		err = forget_devices(flow, phone->user, device, &known, storing);
	else
		err = directory_unregister(flow->ports.directory, phone->user, device, phone->uri,
			&known, flow_stored, storing);
	if (err) {
		flow_store_failed(storing, request, err);
		return;
	}
	out = flow_reply_begin(flow, request);
	if (event->type == EVENT_REGISTER) {
		reply_add_bool(out, "stored", false);
		reply_add_string(out, "reason", "no-push-data");
		reply_add_string(out, "token_state", token_state(flow, phone, device));
		reply_add_string(out, "feature_caps", "*;+sip.pns=\"apns\"");
		buf_add_str(out, ",\"calls\":[]");
	}
	reply_add_string(out, "device", device);
	reply_add_bool(out, "known", known);
	flow_store_reply(storing);
}

void handle_register(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct phone phone = {0};
	int64_t expires_s = DEFAULT_EXPIRES_S;

	if (!read_phone(flow, request, &phone))
		return;
	if (event_has(event, FIELD_EXPIRES_S))
		expires_s = event->expires_s;
	else if (phone.contact.expires_s >= 0)
		expires_s = phone.contact.expires_s;
	if (phone.contact.star || !expires_s)
		unregister_phone(flow, request, &phone);
	else if (phone.query || (phone.reason && !event->sip))
		answer_unchanged(flow, request, &phone);
	else
		store_phone(flow, request, &phone, expires_s);
}

void handle_unregister(struct flow *flow, struct request *request)
{
	struct phone phone = {0};

	if (flow_user(flow, request, request->event.user, phone.user) &&
		read_contact(flow, request, &phone) && read_params(flow, request, &phone))
		unregister_phone(flow, request, &phone);
}

void handle_forget(struct flow *flow, struct request *request)
{
	const struct call_event *event = &request->event;
	struct storing *storing;
	char user[AOR_SIZE], token[PUSH_TOKEN_SIZE];
	size_t count = 0;
	enum err err;

	if (event->user && !flow_user(flow, request, event->user, user))
		return;
	storing = flow_store_begin(flow, request);
	if (!storing)
		return;
	if (event->token) {
		push_token_normalize(event->token, token);
		err = directory_forget_token(
			flow->ports.directory, token, &count, flow_stored, storing);
	} else {
		err = directory_forget(
			flow->ports.directory, user, event->device, &count, flow_stored, storing);
	}
	if (err) {
		flow_store_failed(storing, request, err);
		return;
	}
	reply_add_int(flow_reply_begin(flow, request), "forgotten", (int64_t)count);
	flow_store_reply(storing);
}
