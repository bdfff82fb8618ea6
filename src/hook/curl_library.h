/* SPDX-License-Identifier: MIT */
#ifndef PBXPUSH_HOOK_CURL_LIBRARY_H
#define PBXPUSH_HOOK_CURL_LIBRARY_H

#include <stddef.h>

#define CURL_DISABLE_TYPECHECK /* its checks would name the functions again */
#include <curl/curl.h>

#include <pbxpush/base/err.h>

/*
 * libcurl, loaded when the first hook is configured: it brings some thirty libraries along, which
 * are a fourth of the memory of a daemon that has no hook. What follows makes each call of it go to
 * the function that was loaded.
 */

/* Loads the library, once for the process; call it before anything else of it. ERR_IO: it is not
 * there or too old, and why says so. Not from several threads at once. */
enum err curl_library_load(char *why, size_t why_size);

#define CURL_LIBRARY(X)                                                                            \
	X(curl_easy_cleanup)                                                                       \
	X(curl_easy_getinfo)                                                                       \
	X(curl_easy_init)                                                                          \
	X(curl_easy_setopt)                                                                        \
	X(curl_easy_strerror)                                                                      \
	X(curl_free)                                                                               \
	X(curl_global_init)                                                                        \
	X(curl_multi_add_handle)                                                                   \
	X(curl_multi_assign)                                                                       \
	X(curl_multi_cleanup)                                                                      \
	X(curl_multi_info_read)                                                                    \
	X(curl_multi_init)                                                                         \
	X(curl_multi_remove_handle)                                                                \
	X(curl_multi_setopt)                                                                       \
	X(curl_multi_socket_action)                                                                \
	X(curl_slist_append)                                                                       \
	X(curl_slist_free_all)                                                                     \
	X(curl_url)                                                                                \
	X(curl_url_cleanup)                                                                        \
	X(curl_url_get)                                                                            \
	X(curl_url_set)                                                                            \
	X(curl_url_strerror)                                                                       \
	X(curl_version_info)

#undef curl_easy_getinfo
#undef curl_easy_setopt
#undef curl_multi_setopt

#define CURL_LIBRARY_MEMBER(name) __typeof__(name) *name;
extern struct curl_library {
	CURL_LIBRARY(CURL_LIBRARY_MEMBER)
} curl_library;

#ifndef CURL_LIBRARY_LOADER /* who fills it in */
#define curl_easy_cleanup        curl_library.curl_easy_cleanup
#define curl_easy_getinfo        curl_library.curl_easy_getinfo
#define curl_easy_init           curl_library.curl_easy_init
#define curl_easy_setopt         curl_library.curl_easy_setopt
#define curl_easy_strerror       curl_library.curl_easy_strerror
#define curl_free                curl_library.curl_free
#define curl_global_init         curl_library.curl_global_init
#define curl_multi_add_handle    curl_library.curl_multi_add_handle
#define curl_multi_assign        curl_library.curl_multi_assign
#define curl_multi_cleanup       curl_library.curl_multi_cleanup
#define curl_multi_info_read     curl_library.curl_multi_info_read
#define curl_multi_init          curl_library.curl_multi_init
#define curl_multi_remove_handle curl_library.curl_multi_remove_handle
#define curl_multi_setopt        curl_library.curl_multi_setopt
#define curl_multi_socket_action curl_library.curl_multi_socket_action
#define curl_slist_append        curl_library.curl_slist_append
#define curl_slist_free_all      curl_library.curl_slist_free_all
#define curl_url                 curl_library.curl_url
#define curl_url_cleanup         curl_library.curl_url_cleanup
#define curl_url_get             curl_library.curl_url_get
#define curl_url_set             curl_library.curl_url_set
#define curl_url_strerror        curl_library.curl_url_strerror
#define curl_version_info        curl_library.curl_version_info
#endif

#endif
