/* SPDX-License-Identifier: MIT */
/* What a scenario expects the PBX's web application to be told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "json_path.h"
#include "script_internal.h"

void step_hook(struct step *step)
{
	char *body = fake_hook_take(step->world->hook);
	json_t *root = body ? json_loads(body, 0, NULL) : NULL;
	const char *path, *value;

	if (!body)
		step_fail(step, "nothing was told");
	assert_non_null(root);
	if (!json_path_matches(root, "event", step_word(step, 1)))
		step_fail(step, "it is %s", body);
	for (size_t i = 2; i < step->count; i++) {
		if (!step_pair(step->words[i], &path, &value))
			step_fail(step, "PATH=VALUE, not %s", path);
		if (!json_path_matches(root, path, value))
			step_fail(step, "%s is not %s in %s", path, value, body);
	}
	json_decref(root);
	free(body);
}

void step_no_hook(const struct step *step)
{
	char *body = fake_hook_take(step->world->hook);

	if (body)
		step_fail(step, "told: %s", body);
}
