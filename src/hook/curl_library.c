/* SPDX-License-Identifier: MIT */
#define CURL_LIBRARY_LOADER
#include "curl_library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SONAME "libcurl.so.4"

struct curl_library curl_library;

static bool find(void *library, const char *name, void *function)
{
	void *symbol = dlsym(library, name);

	memcpy(function, &symbol, sizeof(symbol)); /* dlsym(3): C knows no such cast */
	return symbol != NULL;
}

/* It stays loaded: its own libraries do not all like to leave. */
enum err curl_library_load(char *why, size_t why_size)
{
	static bool loaded;
	bool whole = true;
	void *library;

	if (loaded)
		return ERR_OK;
	library = dlopen(SONAME, RTLD_NOW);
#define FIND(name) whole = whole && find(library, #name, &curl_library.name);
	if (library) {
		CURL_LIBRARY(FIND)
	}
	if (!library || !whole) {
		snprintf(why, why_size, "needs libcurl: %s", dlerror());
		return ERR_IO;
	}
	if (curl_library.curl_global_init(CURL_GLOBAL_DEFAULT)) {
		snprintf(why, why_size, "%s", err_string(ERR_NOMEM));
		return ERR_NOMEM;
	}
	loaded = true;
	return ERR_OK;
}
