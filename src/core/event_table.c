/* SPDX-License-Identifier: MIT */
/* The one place that says which events there are, which fields they have, and of which type. */
#include <string.h>

#include <pbxpush/core/contact.h>
#include <pbxpush/core/event.h>

#define BIT(field) (UINT64_C(1) << (field))
#define AT(member) .offset = offsetof(struct call_event, member)

#define TEXT_MAX 65536

static const char *const waits[] = {"verdict", "push", "register", NULL};
static const char *const modes[] = {"", "voip", "alert", NULL};
static const char *const environments[] = {"", "auto", "production", "sandbox", NULL};
/* In the order of enum call_state; only these four may be given. */
static const char *const reasons[] = {
	"", "", "cancelled", "declined", "timeout", "completed", NULL};

static const struct field_spec fields[FIELD_COUNT] = {
	[FIELD_CALL] = {"call", TYPE_STRING, 1, 255, AT(call),
		.help = "SIP Call-ID, or the PBX's unique id of the call"},
	[FIELD_TO] = {"to", TYPE_USER, 1, TEXT_MAX, AT(to), .help = "called user"},
	[FIELD_FROM] = {"from", TYPE_OBJECT, .help = "caller ID"},
	[FIELD_FROM_NUMBER] = {"from.number", TYPE_STRING, 0, TEXT_MAX, AT(from_number),
		.help = "caller's number; empty or withheld: anonymous"},
	[FIELD_FROM_NAME] = {"from.name", TYPE_STRING, 0, TEXT_MAX, AT(from_name),
		.help = "caller's name"},
	[FIELD_FROM_URI] = {"from.uri", TYPE_STRING, 0, TEXT_MAX, AT(from_uri),
		.help = "caller's SIP URI"},
	[FIELD_VIDEO] = {"video", TYPE_BOOL, AT(video), .help = "a video call"},
	[FIELD_RING_MS] = {"ring_ms", TYPE_INT, 1000, 300000, AT(ring_ms),
		.help = "how long the PBX lets it ring, milliseconds"},
	[FIELD_STARTED_MS] = {"started_ms", TYPE_INT, 0, EVENT_INT_MAX, AT(started_ms),
		.help = "when the call began, Unix milliseconds"},
	[FIELD_ATTEMPT] = {"attempt", TYPE_INT, 1, 1000, AT(attempt),
		.help = "counts up when a queue rings the same call again"},
	[FIELD_UUID] = {"uuid", TYPE_UUID, 36, 36, AT(uuid),
		.help = "the call's identity for CallKit"},
	[FIELD_LEG] = {"leg", TYPE_STRING, 1, 255, AT(leg),
		.help = "the Call-ID that the phone will see"},
	[FIELD_WAIT] = {"wait", TYPE_CHOICE, .choices = waits, AT(wait),
		.help = "when the reply comes: verdict, push or register"},
	[FIELD_WAIT_MS] = {"wait_ms", TYPE_INT, 0, EVENT_INT_MAX, AT(wait_ms),
		.help = "upper bound for the reply, milliseconds"},
	[FIELD_DEVICE] = {"device", TYPE_STRING, 1, DEVICE_NAME_SIZE - 1, AT(device),
		.help = "name of one device of the user"},
	[FIELD_CONTACTS] = {"contacts", TYPE_STRINGS, 0, 32, AT(contacts),
		.help = "contact URIs with pn-* to push to instead of the directory's devices"},
	[FIELD_PBX_DND] = {"dnd", TYPE_BOOL, AT(pbx_dnd), .help = "the PBX knows: do not disturb"},
	[FIELD_PBX_BLOCKED] = {"blocked", TYPE_BOOL, AT(pbx_blocked),
		.help = "the PBX knows: this caller is blocked"},
	[FIELD_BYPASS] = {"bypass", TYPE_BOOL, AT(bypass),
		.help = "ring in spite of lists, do-not-disturb and busy"},
	[FIELD_DATA] = {"data", TYPE_OBJECT, AT(data),
		.help = "a JSON object, passed to the app unchanged"},
	[FIELD_REASON] = {"reason", TYPE_CHOICE, .choices = reasons, AT(reason),
		.help = "cancelled, declined, timeout or completed"},
	[FIELD_USER] = {"user", TYPE_USER, 1, TEXT_MAX, AT(user),
		.help = "user, as 1001 or 1001@domain"},
	[FIELD_CONTACT] = {"contact", TYPE_STRING, 1, CONTACT_SIZE - 1, AT(contact),
		.help = "Contact of the REGISTER, a URI or the whole value"},
	[FIELD_EXPIRES_S] = {"expires_s", TYPE_INT, 0, UINT32_MAX, AT(expires_s),
		.help = "expiry of the REGISTER, seconds; 0 unregisters"},
	[FIELD_APP] = {"app", TYPE_STRING, 1, 127, AT(app), .help = "bundle id of the app"},
	[FIELD_TOKEN] = {"token", TYPE_TOKEN, 32, 512, AT(token),
		.help = "PushKit (VoIP) token, hex"},
	[FIELD_ALERT_TOKEN] = {"alert_token", TYPE_TOKEN, 32, 512, AT(alert_token),
		.help = "ordinary token for alert pushes, hex"},
	[FIELD_ENVIRONMENT] = {"environment", TYPE_CHOICE, .choices = environments, AT(environment),
		.help = "auto, production or sandbox"},
	[FIELD_MODE] = {"mode", TYPE_CHOICE, .choices = modes, AT(mode),
		.help = "voip, or alert where there is no CallKit"},
	[FIELD_PN] = {"pn", TYPE_OBJECT, .help = "RFC 8599 parameters"},
	[FIELD_PN_PROVIDER] = {"pn.provider", TYPE_STRING, 0, TEXT_MAX, AT(pn_provider),
		.help = "pn-provider: apns or apns.dev"},
	[FIELD_PN_PARAM] = {"pn.param", TYPE_STRING, 0, TEXT_MAX, AT(pn_param),
		.help = "pn-param: TEAM.BUNDLE.voip"},
	[FIELD_PN_PRID] = {"pn.prid", TYPE_STRING, 0, TEXT_MAX, AT(pn_prid),
		.help = "pn-prid: the token"},
	[FIELD_SIP] = {"sip", TYPE_BOOL, AT(sip),
		.help = "false: a token that came by another way than a REGISTER"},
	[FIELD_FORGET] = {"forget", TYPE_BOOL, AT(forget),
		.help = "a log-out: delete the token too"},
	[FIELD_ON] = {"on", TYPE_BOOL, AT(on), .help = "switch on or off"},
	[FIELD_UNTIL_MS] = {"until_ms", TYPE_INT, 0, EVENT_INT_MAX, AT(until_ms),
		.help = "ends by itself at this time, Unix milliseconds"},
	[FIELD_NUMBER] = {"number", TYPE_STRING, 1, 127, AT(number),
		.help = "a number, a prefix like +4990*, or anonymous"},
	[FIELD_TIMEZONE] = {"timezone", TYPE_STRING, 0, 63, AT(timezone),
		.help = "IANA time zone, such as Europe/Berlin"},
	[FIELD_WINDOWS] = {"windows", TYPE_WINDOWS, 0, 64, AT(windows),
		.help = "windows of the week; none clears the schedule"},
	[FIELD_CONVERSATION] = {"conversation", TYPE_STRING, 1, 255, AT(conversation),
		.help = "name of a conversation"},
	[FIELD_MESSAGE_ID] = {"message_id", TYPE_STRING, 0, 255, AT(message_id),
		.help = "id of the message"},
	[FIELD_TEXT] = {"text", TYPE_STRING, 0, TEXT_MAX, AT(text), .help = "text of the message"},
	[FIELD_BADGE] = {"badge", TYPE_INT, 0, 1000000, AT(badge),
		.help = "number on the app's icon; 0 takes it away"},
	[FIELD_AT_MS] = {"at_ms", TYPE_INT, 0, EVENT_INT_MAX, AT(at_ms),
		.help = "when it happened, Unix milliseconds"},
	[FIELD_NEW] = {"new", TYPE_INT, 0, 1000000, AT(new_count),
		.help = "new messages in the box"},
	[FIELD_OLD] = {"old", TYPE_INT, 0, 1000000, AT(old_count),
		.help = "old messages in the box"},
	[FIELD_DURATION_S] = {"duration_s", TYPE_INT, 0, 1000000, AT(duration_s),
		.help = "length of the newest message, seconds"},
	[FIELD_CURSOR] = {"cursor", TYPE_STRING, 1, 63, AT(cursor),
		.help = "where to go on, as the page before said"},
};

/* The members of `from`. */
#define FROM_FIELDS (BIT(FIELD_FROM_NUMBER) | BIT(FIELD_FROM_NAME) | BIT(FIELD_FROM_URI))

static const struct event_spec events[EVENT_COUNT] = {
	[EVENT_CALL] = {"call", BIT(FIELD_CALL) | BIT(FIELD_TO),
		BIT(FIELD_FROM) | FROM_FIELDS | BIT(FIELD_VIDEO) | BIT(FIELD_RING_MS) |
			BIT(FIELD_STARTED_MS) | BIT(FIELD_ATTEMPT) | BIT(FIELD_UUID) |
			BIT(FIELD_LEG) | BIT(FIELD_WAIT) | BIT(FIELD_WAIT_MS) | BIT(FIELD_DEVICE) |
			BIT(FIELD_CONTACTS) | BIT(FIELD_PBX_DND) | BIT(FIELD_PBX_BLOCKED) |
			BIT(FIELD_BYPASS) | BIT(FIELD_DATA),
		.help = "somebody is calling a user"},
	[EVENT_ANSWER] = {"answer", BIT(FIELD_CALL), BIT(FIELD_TO) | BIT(FIELD_DEVICE),
		.help = "the call was answered: no more pushes"},
	[EVENT_END] = {"end", BIT(FIELD_CALL),
		BIT(FIELD_TO) | BIT(FIELD_DEVICE) | BIT(FIELD_REASON),
		.help = "the call is over, or one device declined it"},
	[EVENT_RINGING] = {"ringing", BIT(FIELD_CALL), BIT(FIELD_TO) | BIT(FIELD_DEVICE),
		.help = "the phone rings already: withdraw its pending push"},
	[EVENT_CALL_STATE] = {"call-state", 0, BIT(FIELD_CALL) | BIT(FIELD_UUID) | BIT(FIELD_TO),
		.help = "what became of a call"},
	[EVENT_REGISTER] = {"register", BIT(FIELD_USER),
		BIT(FIELD_DEVICE) | BIT(FIELD_CONTACT) | BIT(FIELD_EXPIRES_S) | BIT(FIELD_APP) |
			BIT(FIELD_TOKEN) | BIT(FIELD_ALERT_TOKEN) | BIT(FIELD_ENVIRONMENT) |
			BIT(FIELD_MODE) | BIT(FIELD_PN) | BIT(FIELD_PN_PROVIDER) |
			BIT(FIELD_PN_PARAM) | BIT(FIELD_PN_PRID) | BIT(FIELD_SIP),
		.exported = true,
		.help = "a phone sent a REGISTER, or a token came by another way"},
	[EVENT_UNREGISTER] = {"unregister", BIT(FIELD_USER),
		BIT(FIELD_DEVICE) | BIT(FIELD_CONTACT) | BIT(FIELD_FORGET),
		.help = "a phone is no longer registered; its token stays"},
	[EVENT_FORGET] = {"forget", 0, BIT(FIELD_USER) | BIT(FIELD_DEVICE) | BIT(FIELD_TOKEN),
		.admin = true, .help = "delete a device, a token, or everything about a user"},
	[EVENT_DND] = {"dnd", BIT(FIELD_USER) | BIT(FIELD_ON),
		BIT(FIELD_DEVICE) | BIT(FIELD_UNTIL_MS), .admin = true, .exported = true,
		.help = "do-not-disturb of a user or of one device"},
	[EVENT_BLOCK] = {"block", BIT(FIELD_USER) | BIT(FIELD_NUMBER), 0, .admin = true,
		.wildcard = true, .exported = true,
		.help = "callers with this number must not ring"},
	[EVENT_UNBLOCK] = {"unblock", BIT(FIELD_USER) | BIT(FIELD_NUMBER), 0, .admin = true,
		.wildcard = true, .help = "take a number from the block list"},
	[EVENT_ALLOW] = {"allow", BIT(FIELD_USER) | BIT(FIELD_NUMBER), 0, .admin = true,
		.wildcard = true, .exported = true,
		.help = "callers with this number ring in spite of blocks and do-not-disturb"},
	[EVENT_UNALLOW] = {"unallow", BIT(FIELD_USER) | BIT(FIELD_NUMBER), 0, .admin = true,
		.wildcard = true, .help = "take a number from the allow list"},
	[EVENT_DND_SCHEDULE] = {"dnd-schedule", BIT(FIELD_USER) | BIT(FIELD_WINDOWS),
		BIT(FIELD_TIMEZONE), .admin = true, .exported = true,
		.help = "do-not-disturb in windows of the week"},
	[EVENT_CALL_WAITING] = {"call-waiting", BIT(FIELD_USER) | BIT(FIELD_ON), 0, .admin = true,
		.exported = true, .help = "may a second call ring during a call?"},
	[EVENT_MUTE] = {"mute", BIT(FIELD_USER) | BIT(FIELD_CONVERSATION), BIT(FIELD_UNTIL_MS),
		.admin = true, .exported = true, .help = "silence the messages of a conversation"},
	[EVENT_UNMUTE] = {"unmute", BIT(FIELD_USER) | BIT(FIELD_CONVERSATION), 0, .admin = true,
		.help = "hear a conversation again"},
	[EVENT_SHOW] = {"show", BIT(FIELD_USER), 0, .admin = true, .wildcard = true,
		.help = "devices, do-not-disturb and lists of a user"},
	[EVENT_EXPORT] = {"export", 0, BIT(FIELD_CURSOR), .admin = true,
		.help = "a page of the events that restore the directory"},
	[EVENT_MISSED_CALL] = {"missed-call", BIT(FIELD_TO) | BIT(FIELD_CALL) | BIT(FIELD_FROM),
		FROM_FIELDS | BIT(FIELD_AT_MS) | BIT(FIELD_BADGE),
		.help = "tell a user of a call that was missed"},
	[EVENT_VOICEMAIL] = {"voicemail", BIT(FIELD_TO) | BIT(FIELD_NEW),
		BIT(FIELD_OLD) | BIT(FIELD_FROM) | FROM_FIELDS | BIT(FIELD_DURATION_S) |
			BIT(FIELD_BADGE),
		.help = "tell a user of new voicemail"},
	[EVENT_MESSAGE] = {"message", BIT(FIELD_TO) | BIT(FIELD_FROM) | BIT(FIELD_CONVERSATION),
		FROM_FIELDS | BIT(FIELD_MESSAGE_ID) | BIT(FIELD_TEXT) | BIT(FIELD_BADGE),
		.help = "tell a user of a text message"},
	[EVENT_REFRESH] = {"refresh", BIT(FIELD_TO), 0,
		.help = "ask a user's apps to register anew"},
	[EVENT_PING] = {"ping", 0, 0, .help = "is the daemon there?"},
};

const struct event_spec *event_spec(enum event_type type)
{
	return &events[type];
}

const struct field_spec *event_field_spec(enum event_field field)
{
	return &fields[field];
}

enum event_type event_type_of(const char *name)
{
	enum event_type type = 0;

	while (type < EVENT_COUNT && strcmp(events[type].name, name) != 0)
		type++;
	return type;
}
