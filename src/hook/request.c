/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pbxpush/hook/hook.h>

#define CONNECT_TIMEOUT_MS 5000L
#define TIMEOUT_MS         10000L
/* Headers and body of an answer: what is longer is cut off, the status is known by then. */
#define ANSWER_MAX         65536

struct destination {
	char *url, *ca_file;
	char *authorization; /* the header, NULL where there is no token */
	const char *ca_path; /* of the system, NULL where ca_file counts */
};

static bool set_token(struct destination *destination, const char *token)
{
	size_t size;

	if (!token)
		return true;
	size = strlen(token) + sizeof("Authorization: Bearer ");
	destination->authorization = malloc(size);
	if (!destination->authorization)
		return false;
	snprintf(destination->authorization, size, "Authorization: Bearer %s", token);
	return true;
}

enum err destination_new(const struct hook_options *options, struct destination **out)
{
	struct destination *destination = calloc(1, sizeof(*destination));

	if (!destination)
		return ERR_NOMEM;
	destination->url = strdup(options->url);
	destination->ca_file = strdup(options->ca_file);
	/* One file of all the authorities takes 20 to 30 ms to read, for which calls would wait;
	 * by their hashes only the one is read that is needed. */
	if (!options->ca_file[0])
		destination->ca_path = curl_version_info(CURLVERSION_NOW)->capath;
	if (!destination->url || !destination->ca_file || !set_token(destination, options->token)) {
		destination_free(destination);
		return ERR_NOMEM;
	}
	*out = destination;
	return ERR_OK;
}

void destination_free(struct destination *destination)
{
	if (!destination)
		return;
	if (destination->authorization)
		explicit_bzero(destination->authorization, strlen(destination->authorization));
	free(destination->authorization);
	free(destination->ca_file);
	free(destination->url);
	free(destination);
}

static size_t discard(char *data, size_t size, size_t count, void *arg)
{
	struct request *request = arg;

	(void)data;
	request->received += size * count;
	return request->received > ANSWER_MAX ? 0 : size * count; /* 0 ends the transfer */
}

static bool add_header(struct request *request, const char *header)
{
	struct curl_slist *longer = curl_slist_append(request->headers, header);

	if (longer)
		request->headers = longer;
	return longer != NULL;
}

static bool add_headers(
	struct request *request, const struct destination *destination, const char *id)
{
	char key[64];

	snprintf(key, sizeof(key), "Idempotency-Key: %s", id);
	return add_header(request, "Content-Type: application/json") && add_header(request, key) &&
	       add_header(request, "Expect:") &&
	       (!destination->authorization || add_header(request, destination->authorization));
}

static void set_security(CURL *easy, const struct destination *destination)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (destination->ca_file[0]) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, destination->ca_file);
		curl_easy_setopt(easy, CURLOPT_CAPATH, NULL); /* those and no others */
	} else if (destination->ca_path) {
		curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(easy, CURLOPT_CAPATH, destination->ca_path);
	}
	/* The URL was checked when it was read; nothing leads to another one. */
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* also none from the environment */
}

static void set_limits(struct request *request)
{
	CURL *easy = request->easy;

	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* Else a transfer that ends while its name is looked up waits for the look-up. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, discard);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, request);
}

enum err request_new(const struct destination *destination, const char *id, const char *body,
	size_t len, void *arg, struct request **out)
{
	struct request *request = calloc(1, sizeof(*request));
	CURL *easy;

	if (!request)
		return ERR_NOMEM;
	request->easy = easy = curl_easy_init();
	if (!easy || !add_headers(request, destination, id) ||
		curl_easy_setopt(easy, CURLOPT_URL, destination->url)) {
		request_free(request);
		return ERR_NOMEM;
	}
	set_security(easy, destination);
	set_limits(request);
	/* Of little load: HTTP/1.1 on a few kept connections has fewer surprises than libcurl's
	 * HTTP/2. */
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "pbxpush/" PBXPUSH_VERSION);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->why);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, arg);
	*out = request;
	return ERR_OK;
}

int request_status(const struct request *request)
{
	long status = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status < 200 ? 0 : (int)status; /* 1xx is not an answer yet */
}

int64_t request_retry_after_s(const struct request *request)
{
	curl_off_t seconds = 0;

	curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &seconds);
	return seconds;
}

void request_free(struct request *request)
{
	if (!request)
		return;
	curl_easy_cleanup(request->easy);
	curl_slist_free_all(request->headers);
	free(request);
}
