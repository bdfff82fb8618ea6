/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#define PAYLOAD_MAX      4096
#define VOIP_PAYLOAD_MAX 5120
#define COLLAPSE_ID_MAX  64
#define TOKEN_MIN        32 /* hex digits */
#define TOKEN_MAX        512
#define JWT_AGE_MAX_S    3600
#define JWT_FUTURE_MAX_S 60 /* how far ahead of ours a provider's clock may be */
#define DEVICE_PATH      "/3/device/"
#define TOPIC_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"

/* Apple's table of push types and topic suffixes. */
static const struct {
	const char *type, *suffix;
} push_types[] = {
	{"alert", ""},
	{"background", ""},
	{"voip", ".voip"},
	{"pushtotalk", ".voip-ptt"},
	{"complication", ".complication"},
	{"fileprovider", ".pushkit.fileprovider"},
	{"liveactivity", ".push-type.liveactivity"},
	{"location", ".location-query"},
	{"controls", ".push-type.controls"},
	{"widgets", ".push-type.widgets"},
};
#define PUSH_TYPES (sizeof(push_types) / sizeof(*push_types))

static void reject(
	struct sim_request *request, int status, const char *reason, const char *violation)
{
	request->status = status;
	snprintf(request->reason, sizeof(request->reason), "%s", reason);
	request->violation = violation;
}

static bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!isxdigit((unsigned char)text[i]))
			return false;
	return true;
}

/* Digits only, and no more than an int64_t holds. */
static bool is_integer(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= 18 && strspn(text, "0123456789") == len;
}

static bool is_lower_uuid(const char *text)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != sizeof(form) - 1)
		return false;
	for (size_t i = 0; form[i]; i++)
		if (form[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
			return false;
	return true;
}

static bool bundle_listed(const char *list, const char *bundle, size_t len)
{
	for (; *list; list += strcspn(list, ",")) {
		list += *list == ',';
		if (strcspn(list, ",") == len && memcmp(list, bundle, len) == 0)
			return true;
	}
	return false;
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static bool check_path(struct sim_request *request)
{
	const char *method = sim_request_header(request, SIM_METHOD);
	const char *path = sim_request_header(request, SIM_PATH);
	const char *token;
	size_t len;

	if (!method || strcmp(method, "POST") != 0) {
		reject(request, 405, "MethodNotAllowed", "method is not POST");
		return false;
	}
	if (path && strcmp(path, "/3/device") == 0)
		path = DEVICE_PATH;
	if (!path || strncmp(path, DEVICE_PATH, strlen(DEVICE_PATH)) != 0) {
		reject(request, 404, "BadPath", "path is not /3/device/TOKEN");
		return false;
	}
	token = path + strlen(DEVICE_PATH);
	len = strlen(token);
	if (len == 0) {
		reject(request, 400, "MissingDeviceToken", "no device token");
		return false;
	}
	if (len < TOKEN_MIN || len > TOKEN_MAX || len % 2 || !is_hex(token, len)) {
		reject(request, 400, "BadDeviceToken", "token is not hex of a fair length");
		return false;
	}
	return true;
}

/* 20 minutes or so must lie between two provider tokens of a key, on whatever connection. */
static bool check_token_change(
	struct sim *sim, const struct sim_jwt *jwt, const char *authorization)
{
	struct sim_app *app = jwt->app;

	if (app->jwt && strcmp(app->jwt, authorization) == 0)
		return true;
	/* Connections turn to a new token one by one. */
	if (app->previous_jwt && strcmp(app->previous_jwt, authorization) == 0)
		return true;
	if (app->jwt && sim->token_min_age_s > 0 &&
		jwt->iat_s - app->jwt_iat_s < sim->token_min_age_s)
		return false;
	free(app->previous_jwt);
	app->previous_jwt = app->jwt;
	app->jwt = strdup(authorization);
	app->jwt_iat_s = jwt->iat_s;
	sim->stats.tokens++;
	return true;
}

/* The provider token of the connection, verified once and remembered. */
static void learn_token(struct sim_conn *conn, const char *authorization)
{
	if (conn->authorization && strcmp(conn->authorization, authorization) == 0)
		return;
	free(conn->authorization);
	conn->authorization = strdup(authorization);
	sim_jwt_verify(conn->sim, authorization, &conn->jwt);
}

static bool check_token(struct sim_request *request)
{
	struct sim_conn *conn = request->conn;
	const char *authorization = sim_request_header(request, SIM_AUTHORIZATION);
	const struct sim_jwt *jwt = &conn->jwt;
	int64_t now_s = sim_wall_ms(conn) / 1000;

	if (!authorization) {
		reject(request, 403, "MissingProviderToken", "no authorization");
		return false;
	}
	learn_token(conn, authorization);
	request->jwt = jwt;
	if (jwt->problem) {
		reject(request, 403, "InvalidProviderToken", jwt->problem);
		return false;
	}
	if (jwt->iat_s < now_s - JWT_AGE_MAX_S) {
		reject(request, 403, "ExpiredProviderToken", "iat is more than an hour ago");
		return false;
	}
	if (jwt->iat_s > now_s + JWT_FUTURE_MAX_S) {
		reject(request, 403, "InvalidProviderToken", "iat is in the future");
		return false;
	}
	if (conn->app && strcmp(conn->app->team, jwt->app->team) != 0) {
		reject(request, 403, "InvalidProviderToken", "second team on a connection");
		return false;
	}
	if (conn->app && strcmp(conn->app->kid, jwt->app->kid) != 0) {
		reject(request, 403, "UnrelatedKeyIdInToken", "second key on a connection");
		return false;
	}
	if (!check_token_change(conn->sim, jwt, authorization)) {
		reject(request, 429, "TooManyProviderTokenUpdates",
			"provider token changed too soon");
		return false;
	}
	/* APNs binds the team and its bundle ids at the first push. */
	if (!conn->app) {
		conn->app = jwt->app;
		conn->generation = conn->sim->generation;
	}
	return true;
}

static bool topic_allowed(
	const struct sim_conn *conn, const struct sim_jwt *jwt, const char *bundle, size_t len)
{
	struct sim_app *app;

	STAILQ_FOREACH (app, &conn->sim->apps, next) {
		if (app->generation <= conn->generation && strcmp(app->team, jwt->app->team) == 0 &&
			strcmp(app->kid, jwt->app->kid) == 0 &&
			bundle_listed(app->bundles, bundle, len))
			return true;
	}
	return false;
}

/* The topic suffix of a push type, NULL for a type that Apple does not know. */
static const char *type_suffix(const char *type)
{
	for (size_t i = 0; type && i < PUSH_TYPES; i++)
		if (strcmp(type, push_types[i].type) == 0)
			return push_types[i].suffix;
	return NULL;
}

/* A topic with the suffix of one type belongs to no other. */
static bool topic_matches(const char *topic, const char *suffix)
{
	if (*suffix)
		return ends_with(topic, suffix);
	for (size_t i = 0; i < PUSH_TYPES; i++)
		if (*push_types[i].suffix && ends_with(topic, push_types[i].suffix))
			return false;
	return true;
}

static bool check_topic(struct sim_request *request, const char *type)
{
	const char *topic = sim_request_header(request, SIM_TOPIC);
	const char *suffix = type_suffix(type);

	if (!topic || !*topic) {
		reject(request, 400, "MissingTopic", "no apns-topic");
		return false;
	}
	if (strspn(topic, TOPIC_CHARACTERS) != strlen(topic)) {
		reject(request, 400, "BadTopic", "apns-topic is no bundle id");
		return false;
	}
	if (!suffix || !topic_matches(topic, suffix)) {
		reject(request, 400, "InvalidPushType", "apns-push-type and topic do not match");
		return false;
	}
	if (!topic_allowed(request->conn, request->jwt, topic, strlen(topic) - strlen(suffix))) {
		reject(request, 400, "TopicDisallowed", "topic is not of this key");
		return false;
	}
	return true;
}

static bool check_delivery(struct sim_request *request, const char *type)
{
	const char *priority = sim_request_header(request, SIM_PRIORITY);
	const char *expiration = sim_request_header(request, SIM_EXPIRATION);
	const char *collapse_id = sim_request_header(request, SIM_COLLAPSE_ID);
	const char *id = sim_request_header(request, SIM_ID);

	if (!priority)
		priority = "10";
	if (strcmp(priority, "10") != 0 && strcmp(priority, "5") != 0 &&
		strcmp(priority, "1") != 0) {
		reject(request, 400, "BadPriority", "apns-priority is not 10, 5 or 1");
		return false;
	}
	if (strcmp(type, "background") == 0 && strcmp(priority, "5") != 0) {
		reject(request, 400, "BadPriority", "background push without priority 5");
		return false;
	}
	if (expiration && !is_integer(expiration)) {
		reject(request, 400, "BadExpirationDate", "apns-expiration is no integer");
		return false;
	}
	if (collapse_id && (!*collapse_id || strlen(collapse_id) > COLLAPSE_ID_MAX)) {
		reject(request, 400, "BadCollapseId", "apns-collapse-id is not 1 to 64 bytes");
		return false;
	}
	if (id && !is_lower_uuid(id)) {
		reject(request, 400, "BadMessageId", "apns-id is no lower-case UUID");
		return false;
	}
	return true;
}

static bool check_payload(struct sim_request *request, const char *type)
{
	const struct sim *sim = request->conn->sim;
	size_t max = strcmp(type, "voip") == 0 ? VOIP_PAYLOAD_MAX : PAYLOAD_MAX;
	json_t *json;
	bool good;

	if (request->body_len == 0) {
		reject(request, 400, "PayloadEmpty", "no payload");
		return false;
	}
	if (request->body_len > max) {
		reject(request, 413, "PayloadTooLarge", "payload is too large");
		return false;
	}
	if (!sim->journal && !sim->strict)
		return true;
	json = json_loadb(request->body.data, request->body.len, JSON_REJECT_DUPLICATES, NULL);
	good = json_is_object(json_object_get(json, "aps"));
	json_decref(json);
	if (!good)
		reject(request, 400, "PayloadEmpty", "payload is no JSON object with aps");
	return good;
}

void sim_check(struct sim_request *request)
{
	const char *type = sim_request_header(request, SIM_PUSH_TYPE);
	const char *id = sim_request_header(request, SIM_ID);

	request->status = 200;
	if (id && is_lower_uuid(id))
		memcpy(request->apns_id, id, strlen(id) + 1);
	if (!check_path(request))
		return;
	if (request->duplicate) {
		reject(request, 400, "DuplicateHeaders", "a header stands twice");
		return;
	}
	if (check_token(request) && check_topic(request, type) && check_delivery(request, type))
		check_payload(request, type);
}
