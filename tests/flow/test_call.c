/* SPDX-License-Identifier: MIT */
/* The `call` event: its fields, and when the reply comes (CONTRACT 2.1). */
#include "script.h"

static const struct scenario scenarios[] = {
	{"a call wakes the phone and the reply says so",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"quiet\n"
		"push a type=voip env=production app=com.example.phone in_ms=29000\n"
		"wait 40ms\n"
		"accept a\n"
		"< push iphone:accepted call=c1 uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b "
		"devices.0.app=com.example.phone devices.0.push=voip devices.0.apns_id=* "
		"devices.0.attempts=1 devices.0.ms=40\n"
		"told c1 event decision push push-answer reply\n"
		"counted pbxpush_verdicts_total{verdict=\"push\",rule=\"\"} 1\n"
		"stats ringing=1 pushes=1 waiting=0\n"},
	{"the id is echoed and left out where there was none",
		"> {'event':'call','call':'c1','to':'1001','id':'x'}\n"
		"< unreachable no-device id=x\n"
		"> {'event':'call','call':'c2','to':'1001'}\n"
		"< unreachable no-device id=-\n"},
	{"the user may be a URI, with parameters, its domain in any case",
		"phone 1001@tenant.example.com iphone a\n"
		"> call c1 to=sips:1001@TENANT.example.com;transport=tls\n"
		"push a\n"
		"payload a callee=sips:1001@TENANT.example.com;transport=tls\n"
		"accept a\n"
		"< push iphone:accepted\n"},
	{"a bare name is that user of the default domain",
		"set directory.default-domain Example.com\n"
		"phone 1001@example.com iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"accept a\n"
		"< push iphone:accepted\n"},
	{"a feature code is a user like any other", "set directory.default-domain example.com\n"
						    "phone *98@example.com iphone a\n"
						    "> call c1 *98\n"
						    "push a\n"
						    "accept a\n"
						    "< push iphone:accepted\n"},
	{"without a domain of its own it is another user", "phone 1001@example.com iphone a\n"
							   "> call c1 1001\n"
							   "< unreachable no-device devices.#=0\n"},
	{"a user that is too long with its domain is a bad field",
		"set directory.default-domain example.com\n"
		"> call c1 $a$a$a$a\n"
		"< error bad-field field=to\n"
		"> call c1 1$a$a$a$b0123456789012345678901234567890123456789012345678\n"
		"< error bad-field field=to\n"},
	{"ring_ms is how long it rings, started_ms is when that began",
		"phone 1001 iphone a\n"
		"> call c1 1001 ring_ms=10000 started_ms=$now-4000 wait=verdict\n"
		"push a in_ms=5000\n"
		"payload a started_ms=$now-4000 expires_ms=$now+6000\n"
		"< push iphone:pending\n"
		"wait 5999ms\n"
		"> call-state c1\n"
		"< ok state=ringing\n"
		"wait 1ms\n"
		"> call-state c1\n"
		"< ok state=timeout\n"
		"withdrawn a\n"},
	{"ring-timeout where the event does not say",
		"set calls.ring-timeout 12s\n"
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"payload a started_ms=$now expires_ms=$now+12000\n"
		"< push iphone:pending\n"},
	{"a call cannot begin later than its event",
		"phone 1001 iphone a\n"
		"> call c1 1001 ring_ms=5000 started_ms=$now+60000 wait=verdict\n"
		"push a\n"
		"payload a started_ms=$now expires_ms=$now+5000\n"
		"< push iphone:pending\n"},
	{"a call whose deadline has passed is stale",
		"phone 1001 iphone a\n"
		"> call c1 1001 ring_ms=5000 started_ms=$now-5000\n"
		"< ended stale devices.#=0\n"
		"> call c2 1001 ring_ms=5000 started_ms=0\n"
		"< ended stale\n"
		"no push\n"},
	{"a uuid that the PBX gives is used, in lower case",
		"phone 1001 iphone a\n"
		"> call c1 1001 uuid=0E9B6A1C-6F0E-4D3A-9F59-2F3F5F0F6A11 wait=verdict\n"
		"push a uuid=0e9b6a1c-6f0e-4d3a-9f59-2f3f5f0f6a11\n"
		"< push iphone:pending uuid=0e9b6a1c-6f0e-4d3a-9f59-2f3f5f0f6a11\n"},
	{"leg is the Call-ID that the phone sees",
		"phone 1001 iphone a\n"
		"> call c1 1001 leg=b-leg wait=verdict\n"
		"push a\n"
		"payload a call_id=b-leg uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b\n"
		"< push iphone:pending call=c1\n"},

	/* wait=verdict */
	{"wait=verdict replies at once with the decision",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"< push iphone:pending devices.0.ms=0 devices.0.attempts=0\n"
		"push a\n"
		"accept a\n"},

	/* wait=push */
	{"wait=push waits for the last device as long as none is accepted",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"> call c1 1001\n"
		"push a\n"
		"push b\n"
		"wait 10s\n"
		"quiet\n"
		"reject a 410 Unregistered\n"
		"wait 10s\n"
		"quiet\n"
		"accept b\n"
		"< push one:rejected:Unregistered:410 two:accepted\n"},
	{"once one is accepted the others get 500 ms and then stand as pending",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"> call c1 1001\n"
		"push a\n"
		"push b\n"
		"wait 1s\n"
		"accept a\n"
		"wait 499ms\n"
		"quiet\n"
		"wait 1ms\n"
		"< push one:accepted two:pending\n"
		"accept b\n"},
	{"… and no longer than they need",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"phone 1001 three c\n"
		"> call c1 1001\n"
		"push a\n"
		"push b\n"
		"push c\n"
		"accept a\n"
		"wait 100ms\n"
		"fail b connection\n"
		"quiet\n"
		"wait 100ms\n"
		"accept c\n"
		"< push one:accepted two:failed:connection three:accepted\n"},
	{"at the deadline nothing was accepted: push-failed",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"wait 29999ms\n"
		"quiet\n"
		"wait 1ms\n"
		"withdrawn a\n"
		"< unreachable push-failed iphone:pending\n"},

	/* wait=register */
	{"wait=register waits for the REGISTER of a phone that is being woken",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"accept a\n"
		"wait 2s\n"
		"quiet\n"
		"> register 1001 iphone contact=sip:1001@10.0.0.9:5060\n"
		"< registered iphone:accepted registered.device=iphone registered.wake_ms=2000 "
		"registered.contact=sip:1001@10.0.0.9:5060\n"
		"< ok stored=false reason=no-push-data device=iphone\n"
		"told c1 event push-answer register reply\n"},
	{"the REGISTER may overtake the answer of the push service",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"wait 700ms\n"
		"> register 1001 iphone\n"
		"< registered iphone:pending registered.device=iphone registered.wake_ms=700\n"
		"< ok\n"
		"accept a\n"},
	{"without a REGISTER it is no-register at the deadline",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"accept a\n"
		"wait 29999ms\n"
		"quiet\n"
		"wait 1ms\n"
		"< unreachable no-register iphone:accepted\n"},
	{"wait=register does not wait once every push has failed",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"reject a 403 InvalidProviderToken\n"
		"< unreachable push-failed iphone:rejected:InvalidProviderToken:403\n"},
	{"a REGISTER before the call does not count",
		"phone 1001 iphone a\n"
		"> register 1001 iphone\n"
		"< ok\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"accept a\n"
		"quiet\n"
		"wait 30s\n"
		"< unreachable no-register iphone:accepted\n"},

	/* wait_ms */
	{"wait_ms bounds the reply, and the call lives on",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait_ms=200\n"
		"push a\n"
		"wait 199ms\n"
		"quiet\n"
		"wait 1ms\n"
		"< push iphone:pending\n"
		"accept a\n"
		"> call-state c1\n"
		"< ok state=ringing expires_ms=$now+29800\n"},
	{"wait_ms with wait=register: no-register, and a later REGISTER still counts",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register wait_ms=3000\n"
		"push a\n"
		"accept a\n"
		"wait 3s\n"
		"< unreachable no-register iphone:accepted\n"
		"> register 1001 iphone\n"
		"< ok calls.0.state=ringing\n"
		"> call c1 1001 wait=register\n"
		"< registered iphone:accepted duplicate=true registered.device=iphone\n"},
	{"wait_ms of nothing replies at once", "phone 1001 iphone a\n"
					       "> call c1 1001 wait=push wait_ms=0\n"
					       "< push iphone:pending\n"
					       "push a\n"},
	{"wait_ms beyond the deadline is the deadline",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register ring_ms=1000 wait_ms=9007199254740991\n"
		"push a\n"
		"accept a\n"
		"wait 1s\n"
		"< unreachable no-register iphone:accepted\n"},

	/* device */
	{"device reports and waits for this device only", "phone 1001 one a\n"
							  "phone 1001 two b\n"
							  "> call c1 1001 device=two\n"
							  "push a\n"
							  "push b\n"
							  "accept a\n"
							  "wait 600ms\n"
							  "quiet\n"
							  "accept b\n"
							  "< push two:accepted\n"},
	{"a leg for each device: each waits for its own REGISTER",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"> call c1 1001 device=one wait=register\n"
		"2> call c1 1001 device=two wait=register\n"
		"push a\n"
		"push b\n"
		"accept a\n"
		"accept b\n"
		"> register 1001 two\n"
		"2< registered two:accepted duplicate=true registered.device=two\n"
		"< ok\n"
		"wait 30s\n"
		"< unreachable no-register one:accepted\n"},
	{"a device that the user does not have", "phone 1001 one a\n"
						 "> call c1 1001 device=nine\n"
						 "push a\n"
						 "< unreachable no-device devices.#=0\n"},

	/* two at once */
	{"two callers at once are two calls", "phone 1001 iphone a\n"
					      "> call c1 1001 from.number=+15551230001\n"
					      "push a uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b\n"
					      "2> call c2 1001 from.number=+15551230002\n"
					      "push a uuid=8b1a4b31-4496-5d45-9418-c15a541de1a1\n"
					      "payload a caller.number=+15551230002\n"
					      "accept a\n"
					      "2< push iphone:accepted call=c2\n"
					      "> end c2\n"
					      "< ok known=true withdrawn=0\n"
					      "> call-state c1\n"
					      "< ok state=ringing\n"
					      "> end c1\n"
					      "< ended cancelled iphone:withdrawn\n"
					      "< ok known=true withdrawn=1\n"},
	{"a REGISTER releases every call of the user",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register\n"
		"2> call c2 1001 wait=register\n"
		"push a\n"
		"push a\n"
		"> register 1001 iphone\n"
		"2< registered iphone:pending call=c2 registered.device=iphone\n"
		"< registered iphone:pending call=c1 registered.device=iphone\n"
		"< ok calls.#=2\n"},
};

int main(void)
{
	return script_main("call", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
