/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pbxpush/base/log.h>
#include <pbxpush/base/worker.h>

#include "token_store.h"

struct token_store {
	char *dir;
	struct worker *worker; /* started with the first token */
	struct event *readable;
	struct event_base *base;
};

struct save {
	char path[PATH_MAX], temporary[PATH_MAX];
	char text[PROVIDER_TOKEN_FILE_MAX];
	int fault; /* errno, 0 where it went well */
};

enum err token_store_new(struct event_base *base, const char *dir, struct token_store **out)
{
	struct token_store *store = calloc(1, sizeof(*store));

	if (!store)
		return ERR_NOMEM;
	store->base = base;
	store->dir = strdup(dir);
	if (!store->dir) {
		free(store);
		return ERR_NOMEM;
	}
	*out = store;
	return ERR_OK;
}

void token_store_free(struct token_store *store)
{
	if (!store)
		return;
	if (store->readable)
		event_free(store->readable);
	worker_free(store->worker);
	free(store->dir);
	free(store);
}

static bool store_path(const struct token_store *store, const struct provider_token *token,
	const char *suffix, char out[PATH_MAX])
{
	char name[96];

	provider_token_file_name(token, name);
	int len = snprintf(out, PATH_MAX, "%s/%s%s", store->dir, name, suffix);
	return *store->dir && len > 0 && len < PATH_MAX;
}

/* Ours alone: whoever can write it could make us send a token of his. */
static bool file_is_private(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

void token_store_load(const struct token_store *store, struct provider_token *token,
	const struct provider_now *now)
{
	char path[PATH_MAX], text[PROVIDER_TOKEN_FILE_MAX];

	if (!store_path(store, token, "", path))
		return;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	ssize_t len = file_is_private(fd) ? read(fd, text, sizeof(text) - 1) : -1;
	close(fd);
	if (len < 0) {
		log_warning("apns", "kept provider token %s ignored: not a private file", path);
		return;
	}
	text[len] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (!provider_token_restore(token, text, now))
		log_info("apns", "key=%s/%s provider token of age %lld s taken over",
			provider_token_team(token), provider_token_key(token),
			(long long)provider_token_age_s(token, now->mono_us));
	OPENSSL_cleanse(text, sizeof(text));
}

static int write_private(const struct save *save)
{
	int fault = 0;
	size_t len = strlen(save->text);

	unlink(save->temporary); /* of one that was interrupted */
	int fd = open(save->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	errno = ENOSPC; /* of a short write, which sets none */
	if (write(fd, save->text, len) != (ssize_t)len || fsync(fd) < 0)
		fault = errno;
	if (close(fd) < 0 && !fault)
		fault = errno;
	if (!fault && rename(save->temporary, save->path) < 0)
		fault = errno;
	if (fault)
		unlink(save->temporary);
	return fault;
}

static void save_run(void *arg)
{
	struct save *save = arg;

	save->fault = write_private(save);
}

static void save_done(void *arg)
{
	struct save *save = arg;

	if (save->fault)
		log_warning("apns", "provider token not kept in %s: %s", save->path,
			strerror(save->fault));
	OPENSSL_cleanse(save->text, sizeof(save->text));
	free(save);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	const struct token_store *store = arg;

	(void)fd, (void)what;
	worker_collect(store->worker);
}

static enum err store_start(struct token_store *store)
{
	if (store->worker)
		return ERR_OK;
	enum err err = worker_new(&store->worker, "apns-token");
	if (err)
		return err;
	store->readable = event_new(
		store->base, worker_fd(store->worker), EV_READ | EV_PERSIST, on_readable, store);
	if (store->readable && event_add(store->readable, NULL) == 0)
		return ERR_OK;
	worker_free(store->worker);
	store->worker = NULL;
	return ERR_NOMEM;
}

void token_store_save(struct token_store *store, const struct provider_token *token)
{
	struct save *save = calloc(1, sizeof(*save));
	enum err err = ERR_NOMEM;

	if (!save || !store_path(store, token, "", save->path) ||
		!store_path(store, token, ".new", save->temporary)) {
		free(save);
		return;
	}
	int len = snprintf(save->text, sizeof(save->text), "%s\n", provider_token_jwt(token));
	if (len > 0 && (size_t)len < sizeof(save->text))
		err = store_start(store);
	if (!err)
		err = worker_submit(store->worker, save_run, save_done, save);
	if (err) {
		log_warning("apns", "provider token not kept: %s", err_string(err));
		free(save);
	}
}
