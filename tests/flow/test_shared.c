/* SPDX-License-Identifier: MIT */
/* One phone under several users: one push a call, whoever of them is called (CONTRACT 2.1). */
#include "script.h"

static const struct scenario scenarios[] = {
	{"the same phone under two users gets one push", "phone 1001 one a\n"
							 "phone 1002 one a\n"
							 "> call c1 1001\n"
							 "2> call c1 1002\n"
							 "push a\n"
							 "no push\n"
							 "accept a\n"
							 "< push one:accepted\n"
							 "2< push one:skipped:same-phone\n"},
	{"the second user's phone is as reachable as the first one's push: refused",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001\n"
		"2> call c1 1002 wait=register\n"
		"push a\n"
		"reject a 410 Unregistered\n"
		"2< unreachable dead-token one:skipped:same-phone\n"
		"< unreachable dead-token one:rejected:Unregistered:410\n"},
	{"the second user's phone is as reachable as the first one's push: failed",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001\n"
		"2> call c1 1002\n"
		"push a\n"
		"fail a connection\n"
		"< unreachable push-failed one:failed:connection\n"
		"2< unreachable push-failed one:skipped:same-phone\n"},
	{"a REGISTER of each account releases its own leg",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001 wait=register\n"
		"2> call c1 1002 wait=register\n"
		"push a\n"
		"accept a\n"
		"> register 1002 one\n"
		"2< registered one:skipped:same-phone registered.device=one\n"
		"< ok calls.#=1 calls.0.call=c1\n"
		"> register 1001 one\n"
		"< registered one:accepted registered.device=one\n"
		"< ok\n"},
	{"the first leg ends before its push is written: the second one's goes out",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> {'event':'call','call':'c1','to':'1001','from':{'name':'Alice'}}\n"
		"2> {'event':'call','call':'c1','to':'1002','from':{'name':'Alice'},"
		"'wait':'register','data':{'k':1}}\n"
		"push a\n"
		"payload a callee=1001\n"
		"> end c1 1001\n"
		"withdrawn a\n"
		"< ended cancelled one:withdrawn\n"
		"< ok withdrawn=1\n"
		"push a\n"
		"payload a callee=1002 caller.name=Alice data.k=1\n"
		"accept a\n"
		"> register 1002 one\n"
		"2< registered one:accepted\n"
		"< ok\n"},
	{"the first leg ends after its push was written: it counts for the second",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001\n"
		"2> call c1 1002 wait=register\n"
		"push a\n"
		"written a\n"
		"> end c1 1001\n"
		"< ended cancelled one:pending\n"
		"< ok withdrawn=0\n"
		"no push\n"
		"accept a\n"
		"> register 1002 one\n"
		"2< registered one:skipped:same-phone\n"
		"< ok\n"},
	{"the whole call ends: nothing is announced any more",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001\n"
		"2> call c1 1002\n"
		"push a\n"
		"> end c1\n"
		"withdrawn a\n"
		"no push\n"
		"< ended cancelled one:withdrawn\n"
		"2< ended cancelled one:skipped:same-phone\n"
		"< ok known=true withdrawn=1\n"},
	{"the call is answered: nothing is announced any more",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001\n"
		"2> call c1 1002\n"
		"push a\n"
		"> answer c1\n"
		"no push\n"
		"< ended answered one:withdrawn\n"
		"2< ended answered one:skipped:same-phone\n"
		"< ok known=true withdrawn=1\n"},
	{"the deadline of both passes: nothing is announced any more",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001\n"
		"2> call c1 1002\n"
		"push a\n"
		"wait 30s\n"
		"no push\n"
		"< unreachable push-failed one:pending\n"
		"2< unreachable push-failed one:skipped:same-phone\n"},
	{"the deadline of the first passes while the second rings on",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001 ring_ms=10000\n"
		"2> call c1 1002 ring_ms=20000\n"
		"push a\n"
		"wait 10s\n"
		"withdrawn a\n"
		"push a in_ms=9000\n"
		"< unreachable push-failed one:pending\n"
		"accept a\n"
		"2< push one:accepted\n"},
	{"the phone declines under both names: it is not woken again",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001 wait=register\n"
		"2> call c1 1002 wait=register\n"
		"push a\n"
		"> end c1 device=one\n"
		"no push\n"
		"< ended declined one:skipped:declined\n"
		"2< ended declined one:skipped:declined\n"
		"< ok known=true withdrawn=1\n"},
	{"the phone rings already: it is not woken for the second user either",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001 wait=register\n"
		"2> call c1 1002 wait=register\n"
		"push a\n"
		"> ringing c1 1001 device=one\n"
		"no push\n"
		"< registered one:skipped:ringing\n"
		"2< registered one:skipped:same-phone registered.device=one\n"
		"< ok withdrawn=1\n"},
	{"another attempt is another call: it has a push of its own",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"> call c1 1001 wait=verdict\n"
		"> call c1 1002 wait=verdict attempt=2\n"
		"push a\n"
		"push a uuid=5030789a-b253-5814-b592-3f9052afb7eb\n"
		"< push one:pending\n"
		"< push one:pending\n"},
	{"a third user of the phone, when the first two have gone",
		"phone 1001 one a\n"
		"phone 1002 one a\n"
		"phone 1003 one a\n"
		"> call c1 1001 wait=verdict\n"
		"> call c1 1002 wait=verdict\n"
		"> call c1 1003 wait=verdict\n"
		"push a\n"
		"< push one:pending\n"
		"< push one:skipped:same-phone\n"
		"< push one:skipped:same-phone\n"
		"> end c1 1002\n"
		"< ok withdrawn=0\n"
		"> end c1 1001\n"
		"< ok withdrawn=1\n"
		"push a\n"
		"payload a callee=1003\n"},
};

int main(void)
{
	return script_main("shared", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
