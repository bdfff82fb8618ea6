/* SPDX-License-Identifier: MIT */
/* Memory runs short at every place in turn: every line still gets its one reply, nothing is
 * announced twice or after its end, nothing leaks, and afterwards all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "fake_clock.h"
#include "fake_memory.h"
#include "world.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* Events, and what the world does between them. */
static const char *const story[] = {
	"{'event':'register','user':'1001','device':'one','token':'" A "','id':1}",
	"{'event':'register','user':'1001','device':'two','alert_token':'" B "','id':'x'}",
	"{'event':'register','user':'1002','device':'one','token':'" A "'}",
	"{'event':'register','user':'1003','contact':'sip:1003@10.0.0.7'}",
	"{'event':'dnd','user':'1004','on':true}",
	"{'event':'block','user':'*','number':'+49301'}",
	"{'event':'call','call':'c1','to':'1001','from':{'number':'+49302','name':'A\xff'},"
	"'data':{'k':1.5},'wait':'register','id':12345678901234567890}",
	"{'event':'call','call':'c1','to':'1001','wait':'push','device':'one','id':2}",
	"{'event':'call','call':'c1','to':'1002','wait':'push'}",
	"{'event':'call','call':'c2','to':'1003','wait':'verdict'}",
	"{'event':'call','call':'c3','to':'1004'}",
	"{'event':'call','call':'c4','to':'1001','from':{'number':'+49301'}}",
	"{'event':'ringing','call':'c1','device':'two'}",
	"refuse",
	"accept",
	"{'event':'register','user':'1001','device':'one','contact':'sip:1001@10.0.0.9'}",
	"{'event':'end','call':'c1','to':'1001','device':'two'}",
	"{'event':'end','call':'c1','to':'1001'}",
	"{'event':'answer','call':'c1'}",
	"{'event':'end','call':'c8','to':'1001'}",
	"{'event':'end','call':'c9'}",
	"{'event':'call','call':'c9','to':'1001'}",
	"{'event':'call','call':'c5','to':'1001','contacts':['<sip:1@h;pn-provider=apns;"
	"pn-param=DEF123GHIJ.com.example.phone.voip;pn-prid=" B ">','sip:2@h'],'wait':'verdict'}",
	"accept",
	"{'event':'call-state','call':'c1'}",
	"{'event':'show','user':'1001'}",
	"{'event':'export'}",
	"wait",
	"{'event':'unblock','user':'*','number':'+49301'}",
	"{'event':'unregister','user':'1001','device':'one','forget':true}",
	"{'event':'unregister','user':'1001','forget':true}",
	"{'event':'forget','token':'" A "'}",
	"{'event':'nonsense'}",
	"not JSON",
};

#define STEPS (sizeof(story) / sizeof(story[0]))

static void send_line(struct world *world, const char *text)
{
	char line[512];
	size_t len = strlen(text);

	assert_in_range(len, 1, sizeof(line));
	for (size_t i = 0; i < len; i++)
		line[i] = text[i] == '\'' ? '"' : text[i];
	world_send(world, 1, ROLE_ADMIN, line, len);
}

/* Ends every push that is outstanding: the first of them is refused, or all are accepted. */
static void answer(struct world *world, bool refuse)
{
	struct fake_push *push;

	while ((push = fake_transport_unseen(world->transport, NULL))) {
		push->seen = true;
		if (push->over)
			continue;
		fake_memory_arm(true);
		if (refuse)
			fake_transport_answer(push, 400, "BadDeviceToken", 0, PUSH_REJECTED_TOKEN);
		else
			fake_transport_answer(push, 200, "", 0, PUSH_ACCEPTED);
		fake_memory_arm(false);
		refuse = false;
	}
}

static void pass(struct world *world, int64_t us)
{
	fake_memory_arm(true);
	fake_clock_pass(world->flow, us);
	fake_memory_arm(false);
}

static size_t run_story(struct world *world)
{
	size_t lines = 0;

	for (size_t i = 0; i < STEPS; i++) {
		if (!strcmp(story[i], "refuse") || !strcmp(story[i], "accept")) {
			answer(world, story[i][0] == 'r');
		} else if (!strcmp(story[i], "wait")) {
			pass(world, 60000000);
		} else {
			send_line(world, story[i]);
			lines++;
		}
		pass(world, 1000);
	}
	return lines;
}

static size_t count_replies(struct world *world, size_t wanted)
{
	size_t count = 0;
	char *reply;

	while (count < wanted && (reply = world_await_reply(world, 1))) {
		json_t *json = json_loads(reply, JSON_DECODE_INT_AS_REAL, NULL);

		if (!json)
			fail_msg("no JSON: %s", reply);
		json_decref(json);
		free(reply);
		count++;
	}
	while ((reply = world_reply(world, 0))) {
		free(reply);
		count++;
	}
	return count;
}

/* Returns whether the nth allocation came at all. */
static bool survive(int nth, bool all)
{
	struct world *world = world_new();
	size_t lines, replies;
	struct flow_stats stats;
	bool failed;

	world_set(world, "hook", "url", "https://pbx.example.com/");
	fake_memory_fail(nth, all);
	lines = run_story(world);
	failed = fake_memory_failed();
	fake_memory_fail(0, false);

	answer(world, false);
	pass(world, INT64_C(86400000000)); /* deadlines, max-duration, remember */
	send_line(world, "{'event':'ping'}");
	replies = count_replies(world, lines + 1);
	if (replies != lines + 1)
		fail_msg("allocation %d: %zu replies to %zu lines", nth, replies, lines + 1);
	flow_stats(world->flow, &stats);
	if (stats.ringing || stats.answered || stats.ended || stats.waiting)
		fail_msg("allocation %d: ringing %zu answered %zu ended %zu waiting %zu", nth,
			stats.ringing, stats.answered, stats.ended, stats.waiting);
	assert_false(flow_is_busy(world->flow));
	world_free(world);
	return failed;
}

static void one_allocation_fails(void **state)
{
	int nth = 1;

	(void)state;
	while (survive(nth, false))
		nth++;
	assert_true(nth > 100); /* the story allocates */
}

static void memory_stays_short(void **state)
{
	(void)state;
	for (int nth = 1; survive(nth, true); nth += 7)
		continue;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_allocation_fails),
		cmocka_unit_test(memory_stays_short),
	};

	fake_memory_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
