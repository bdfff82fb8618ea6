/* SPDX-License-Identifier: MIT */
/* The same call again, attempts, and how long calls are known (CONTRACT 2.1). */
#include "script.h"

static const struct scenario scenarios[] = {
	/* duplicates */
	{"the same call again pushes nothing and is answered as it now stands",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"2> call c1 1001 wait=verdict\n"
		"2< push iphone:pending duplicate=true uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b\n"
		"no push\n"
		"accept a\n"
		"< push iphone:accepted\n"
		"2> call c1 1001\n"
		"2< push iphone:accepted duplicate=true\n"
		"counted pbxpush_verdicts_total{verdict=\"push\",rule=\"\"} 1\n"},
	{"a duplicate waits in its own way",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"2> call c1 1001 wait=push\n"
		"> call c1 1001 wait=register wait_ms=9000\n"
		"quiet\n"
		"accept a\n"
		"2< push iphone:accepted duplicate=true\n"
		"quiet\n"
		"wait 9s\n"
		"< unreachable no-register iphone:accepted duplicate=true\n"},
	{"a duplicate waits for a device of its own",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"> call c1 1001\n"
		"push a\n"
		"push b\n"
		"2> call c1 1001 device=two\n"
		"accept a\n"
		"wait 500ms\n"
		"< push one:accepted two:pending\n"
		"quiet\n"
		"reject b 500 InternalServerError\n"
		"2< unreachable push-failed two:rejected:InternalServerError:500 duplicate=true\n"},
	{"the user in another spelling is the same user",
		"set directory.default-domain example.com\n"
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"> call c1 to=sip:1001@EXAMPLE.com;user=phone wait=verdict\n"
		"< push iphone:pending duplicate=true\n"},
	{"a duplicate is recognised before policy",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"> dnd 1001 true\n"
		"< ok\n"
		"> call c1 1001 wait=verdict blocked=true started_ms=1\n"
		"< push iphone:pending duplicate=true\n"
		"> call c2 1001\n"
		"< reject dnd devices.#=0\n"},
	{"a rejected call stays rejected", "phone 1001 iphone a\n"
					   "> dnd 1001 true\n"
					   "< ok\n"
					   "> call c1 1001\n"
					   "< reject dnd\n"
					   "> dnd 1001 false\n"
					   "< ok\n"
					   "> call c1 1001\n"
					   "< reject dnd duplicate=true\n"
					   "> end c1\n"
					   "< ok known=true withdrawn=0\n"
					   "> call c1 1001\n"
					   "< ended cancelled duplicate=true\n"},
	{"so does one that nobody could be woken for", "> call c1 1001\n"
						       "< unreachable no-device\n"
						       "phone 1001 iphone a\n"
						       "> call c1 1001\n"
						       "< unreachable no-device duplicate=true\n"
						       "wait 30s\n"
						       "> call c1 1001\n"
						       "< ended timeout duplicate=true\n"},
	{"after the deadline it has ended: timeout",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"accept a\n"
		"< push iphone:accepted\n"
		"wait 30s\n"
		"> call c1 1001 wait=register\n"
		"< ended timeout iphone:accepted duplicate=true\n"},
	{"after a REGISTER it is registered, whoever asks",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"accept a\n"
		"< push iphone:accepted\n"
		"wait 1s\n"
		"> register 1001 iphone contact=sip:1001@10.0.0.9\n"
		"< ok\n"
		"> call c1 1001 wait=push\n"
		"< registered iphone:accepted duplicate=true registered.wake_ms=1000 "
		"registered.contact=sip:1001@10.0.0.9\n"},
	{"one push a device and call, however it ended: a retry is the transport's alone",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"fail a connection\n"
		"< unreachable push-failed iphone:failed:connection\n"
		"> call c1 1001\n"
		"< unreachable push-failed iphone:failed:connection duplicate=true\n"
		"no push\n"},

	/* attempts */
	{"a higher attempt is a new call with a new uuid",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b\n"
		"< push iphone:pending\n"
		"> call c1 1001 attempt=2 wait=verdict\n"
		"push a uuid=5030789a-b253-5814-b592-3f9052afb7eb\n"
		"< push iphone:pending uuid=5030789a-b253-5814-b592-3f9052afb7eb\n"
		"> call c1 1001 attempt=2 wait=verdict\n"
		"< push iphone:pending duplicate=true uuid=5030789a-b253-5814-b592-3f9052afb7eb\n"
		"> call-state uuid=5030789a-b253-5814-b592-3f9052afb7eb\n"
		"< ok call=c1 state=ringing\n"},
	{"an attempt after the end rings again, and the ended one does not",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"> end c1 reason=timeout\n"
		"< ok withdrawn=1\n"
		"> call c1 1001\n"
		"< ended timeout iphone:withdrawn duplicate=true\n"
		"> call c1 1001 attempt=2 wait=verdict\n"
		"push a uuid=5030789a-b253-5814-b592-3f9052afb7eb\n"
		"< push iphone:pending\n"
		"> end c1\n"
		"< ok withdrawn=1\n"
		"> call c1 1002 attempt=2\n"
		"< ended timeout\n"},
	{"an end is for every attempt", "phone 1001 iphone a\n"
					"> call c1 1001 wait=verdict\n"
					"< push iphone:pending\n"
					"> call c1 1001 attempt=2 wait=verdict\n"
					"< push iphone:pending\n"
					"push a\n"
					"push a\n"
					"> end c1 1001\n"
					"< ok withdrawn=2\n"
					"> call c1 1001 attempt=2\n"
					"< ended cancelled iphone:withdrawn duplicate=true\n"},

	/* remember */
	{"an ended call is known for `remember`",
		"set calls.remember 1m\n"
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"> end c1\n"
		"< ok\n"
		"wait 59s\n"
		"> call c1 1001\n"
		"< ended cancelled iphone:withdrawn duplicate=true\n"
		"stats ringing=0 ended=1\n"
		"wait 1s\n"
		"stats ended=0\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"},
	{"a call that timed out is known for `remember` after its deadline",
		"set calls.remember 1m\n"
		"> call c1 1001\n"
		"< unreachable no-device\n"
		"wait 89s\n"
		"> call-state c1\n"
		"< ok state=timeout\n"
		"wait 1s\n"
		"> call-state c1\n"
		"< ok state=unknown\n"},

	/* max-calls */
	{"a full table: the oldest remembered call goes first", "set events.max-calls 3\n"
								"> call c1 1001\n"
								"< unreachable no-device\n"
								"> call c2 1001\n"
								"< unreachable no-device\n"
								"> call c3 1001\n"
								"< unreachable no-device\n"
								"> end c2\n"
								"< ok\n"
								"> end c1\n"
								"< ok\n"
								"> call c4 1001\n"
								"< unreachable no-device\n"
								"> call-state c2\n"
								"< ok state=unknown\n"
								"> call-state c1\n"
								"< ok state=cancelled\n"
								"stats ringing=2 ended=1\n"},
	{"… an end that overtook its call goes before it", "set events.max-calls 2\n"
							   "> end c1\n"
							   "< ok known=false\n"
							   "> call c2 1001\n"
							   "< unreachable no-device\n"
							   "> call c3 1001\n"
							   "< unreachable no-device\n"
							   "> call-state c1\n"
							   "< ok state=unknown\n"
							   "> call-state c2\n"
							   "< ok state=ringing\n"},
	{"… and when all live, a call is unreachable: overloaded",
		"set events.max-calls 2\n"
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"< push iphone:pending\n"
		"> call c2 1001 wait=verdict\n"
		"< push iphone:pending\n"
		"push a\n"
		"push a\n"
		"> call c3 1001\n"
		"< unreachable overloaded devices.#=0\n"
		"> end c9\n"
		"< ok known=false withdrawn=0\n"
		"> call c1 1001 wait=verdict\n"
		"< push iphone:pending duplicate=true\n"
		"> end c1\n"
		"< ok\n"
		"> call c3 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"},
	{"a full queue of the transport: overloaded, not refused",
		"phone 1001 iphone a\n"
		"full\n"
		"> call c1 1001\n"
		"< unreachable overloaded iphone:failed:timeout\n"
		"room\n"
		"> call c2 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"},
};

int main(void)
{
	return script_main("duplicate", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
