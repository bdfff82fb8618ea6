/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FLOW_SCRIPT_H
#define TESTS_FLOW_SCRIPT_H

#include <stddef.h>

/*
 * The language of the flow tests. A scenario is a text: its first line is its name, a sentence, and
 * each further line is a step. It has a world of its own.
 *
 *   set calls.remember 5m            an option, as in the configuration file; `app.` is
 *   com.example.phone
 *   team com.example.other XYZ987…   another app, `drop com.example.other` takes it away
 *   phone 1001 iphone a [FIELD=V …]  a token is stored for a user's device; `-`: no voip token
 *
 *   > call c1 1001 wait=register     an event; words without `=` are its first fields (see
 *   script_event.c)
 *   > {'event':'ping'}               or any line, with ' for "
 *   2> …   calls> …                  from the second client; from one that is no admin
 *
 *   < push iphone:accepted           the reply to a call: verdict, rule, each device as
 *                                    DEVICE:RESULT[:REASON][:STATUS], other members as PATH=V
 *   < ok stored=true                 any other reply; `< error CODE field=NAME`
 *   2< …                             to the second client
 *   quiet                            no reply waits
 *
 *   push a [type= env= app= …]       a push to this token went out (see script_push.c)
 *   payload a PATH=V …               what its payload says
 *   no push                          none that was not mentioned
 *   accept a                         it is accepted
 *   reject a 410 Unregistered [MS]   it is refused; MS: the timestamp, as offset from now
 *   fail a timeout                   it was never sent (class), and reason
 *   lose a timeout                   it was sent, and no answer came
 *   written a                        it is on the wire: a cancel comes too late
 *   withdrawn a                      it was called back
 *   full / room                      the transport's queue takes nothing / takes pushes
 *   disk full / disk ok
 *
 *   hook EVENT PATH=V …              the web application is told, with `set hook.url …` before
 *   no hook                          of nothing that was not mentioned
 *
 *   wait 500ms                       time passes (ms, s, m, h)
 *   tick                             flow_tick(), which the daemon calls every few seconds
 *   stats ringing=1 …                the figures of flow_stats()
 *   counted NAME{label="v",…} N      a metric
 *   told c1 WORD …                   the timeline of a call has these entries, in this order
 *   untold c1 WORD …                 these words stand nowhere in it
 *   listed MAX PATH=V …              what flow_write_calls() writes
 *   stop                             flow_stop()
 *   drain                            flow_release_all()
 *
 * A token of one letter a to f stands for 64 of them, in events as `$a`. `$now`, `$now+500` is Unix
 * time in ms, `$500x` are 500 x.
 * A scenario must mention every push, hook and reply: one that is left over at the end fails it.
 */
struct scenario {
	const char *text;
};

/* A cmocka program of scenarios. Returns what main() returns. */
int script_main(const char *group, const struct scenario *scenarios, size_t count);

#endif
