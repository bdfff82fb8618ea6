/* SPDX-License-Identifier: MIT */
/* Which phones a call goes to, what becomes of each, and what that amounts to (CONTRACT 2.1). */
#include "script.h"

static const struct scenario scenarios[] = {
	/* every result */
	{"several devices with different outcomes",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"phone 1001 three c\n"
		"phone 1001 four d\n"
		"> call c1 1001\n"
		"push a\n"
		"push b\n"
		"push c\n"
		"push d\n"
		"reject b 410 Unregistered\n"
		"reject c 403 InvalidProviderToken\n"
		"fail d timeout\n"
		"accept a\n"
		"< push one:accepted two:rejected:Unregistered:410 "
		"three:rejected:InvalidProviderToken:403 four:failed:timeout\n"},
	{"a push that was sent and got no answer has failed",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"lose a timeout\n"
		"< unreachable push-failed iphone:failed:timeout\n"},
	{"of a dead token and a failed push the failure is told",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"> call c1 1001\n"
		"push a\n"
		"push b\n"
		"reject a 410 Unregistered\n"
		"reject b 503 ServiceUnavailable\n"
		"< unreachable push-failed one:rejected:Unregistered:410 "
		"two:rejected:ServiceUnavailable:503\n"},
	{"a fault of our own key does not cost a token",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 400 TopicDisallowed\n"
		"< unreachable push-failed iphone:rejected:TopicDisallowed:400\n"
		"> show 1001\n"
		"< ok devices.0.state=ok\n"},

	/* dead tokens */
	{"a 410 is dead-token, and the next call skips the token",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 410 Unregistered\n"
		"< unreachable dead-token iphone:rejected:Unregistered:410\n"
		"> show 1001\n"
		"< ok devices.0.state=dead\n"
		"> call c2 1001\n"
		"< unreachable dead-token iphone:skipped:dead-token\n"
		"no push\n"},
	{"a 410 older than the registration keeps the token",
		"phone 1001 iphone a\n"
		"wait 1s\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 410 Unregistered -5000\n"
		"< unreachable push-failed iphone:rejected:Unregistered:410\n"
		"> show 1001\n"
		"< ok devices.0.state=ok\n"
		"> call c2 1001\n"
		"push a\n"
		"accept a\n"
		"< push iphone:accepted\n"},
	{"a 410 newer than the registration does not",
		"phone 1001 iphone a\n"
		"wait 10s\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 410 ExpiredToken -5000\n"
		"< unreachable dead-token iphone:rejected:ExpiredToken:410\n"
		"> show 1001\n"
		"< ok devices.0.state=dead\n"},
	{"a 410 that comes after the end is not lost", "phone 1001 iphone a\n"
						       "> call c1 1001\n"
						       "push a\n"
						       "written a\n"
						       "> end c1\n"
						       "< ended cancelled iphone:pending\n"
						       "< ok withdrawn=0\n"
						       "reject a 410 Unregistered\n"
						       "> show 1001\n"
						       "< ok devices.0.state=dead\n"},
	{"… not even when the call is forgotten by then", "set calls.remember 0s\n"
							  "phone 1001 iphone a\n"
							  "> call c1 1001 wait=verdict\n"
							  "< push iphone:pending\n"
							  "push a\n"
							  "written a\n"
							  "> end c1\n"
							  "< ok withdrawn=0\n"
							  "wait 1ms\n"
							  "stats ringing=0 ended=0\n"
							  "reject a 410 Unregistered\n"
							  "> show 1001\n"
							  "< ok devices.0.state=dead\n"},
	{"a token of another topic is dead, and is not tried elsewhere",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 400 DeviceTokenNotForTopic\n"
		"< unreachable dead-token iphone:rejected:DeviceTokenNotForTopic:400\n"
		"> call c2 1001\n"
		"< unreachable dead-token iphone:skipped:dead-token\n"},

	/* environment = auto */
	{"auto: a bad token in production is tried in the sandbox once, and that is learned",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a env=production\n"
		"reject a 400 BadDeviceToken\n"
		"quiet\n"
		"push a env=sandbox\n"
		"accept a\n"
		"< push iphone:accepted devices.0.attempts=2\n"
		"> call c2 1001\n"
		"push a env=sandbox\n"
		"accept a\n"
		"< push iphone:accepted\n"},
	{"auto: both refuse, so the token is dead",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a env=production\n"
		"reject a 400 BadDeviceToken\n"
		"push a env=sandbox\n"
		"reject a 400 BadDeviceToken\n"
		"< unreachable dead-token iphone:rejected:BadDeviceToken:400\n"
		"> call c2 1001\n"
		"< unreachable dead-token iphone:skipped:dead-token\n"},
	{"auto: what was learned may change again", "phone 1001 iphone a\n"
						    "> call c1 1001\n"
						    "push a env=production\n"
						    "accept a\n"
						    "< push iphone:accepted\n"
						    "> call c2 1001\n"
						    "push a env=production\n"
						    "reject a 400 BadDeviceToken\n"
						    "push a env=sandbox\n"
						    "accept a\n"
						    "< push iphone:accepted\n"
						    "> call c3 1001 wait=verdict\n"
						    "push a env=sandbox\n"
						    "< push iphone:pending\n"},
	{"auto: a call that ended meanwhile is not announced elsewhere, and costs no token",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"written a\n"
		"> end c1\n"
		"< ended cancelled iphone:pending\n"
		"< ok\n"
		"reject a 400 BadDeviceToken\n"
		"no push\n"
		"> call c2 1001\n"
		"push a env=production\n"
		"reject a 400 BadDeviceToken\n"
		"push a env=sandbox\n"
		"accept a\n"
		"< push iphone:accepted\n"},
	{"an environment that is given is not doubted",
		"phone 1001 iphone a environment=sandbox\n"
		"> call c1 1001\n"
		"push a env=sandbox\n"
		"reject a 400 BadDeviceToken\n"
		"< unreachable dead-token iphone:rejected:BadDeviceToken:400\n"
		"no push\n"},
	{"the app says where its tokens are valid", "set app.environment sandbox\n"
						    "phone 1001 one a\n"
						    "phone 1001 two b environment=production\n"
						    "> call c1 1001 wait=verdict\n"
						    "push a env=sandbox\n"
						    "push b env=production\n"
						    "< push one:pending two:pending\n"},

	/* devices that are not pushed to */
	{"a device of an app that is gone from the configuration",
		"team com.example.other DEF123GHIJ\n"
		"phone 1001 iphone a app=com.example.other\n"
		"drop com.example.other\n"
		"> call c1 1001\n"
		"< unreachable no-device iphone:skipped:unknown-app\n"},
	{"a device without the token that its mode needs",
		"phone 1001 one - alert_token=$a mode=voip\n"
		"phone 1001 two b mode=alert\n"
		"> call c1 1001\n"
		"< unreachable no-device one:skipped:no-token two:skipped:no-token\n"},
	{"a phone with an ordinary token only is told by alert",
		"phone 1001 iphone - alert_token=$b\n"
		"> call c1 1001\n"
		"push b type=alert collapse=b1b2b665-ac81-531c-a831-60e2d9c03e1b "
		"expiration_s=1763790030\n"
		"accept b\n"
		"< push iphone:accepted devices.0.push=alert\n"},
	{"a device in alert mode is told with its ordinary token",
		"phone 1001 one a alert_token=$b mode=alert\n"
		"phone 1001 two c alert_token=$d\n"
		"> call c1 1001 wait=verdict\n"
		"push b type=alert\n"
		"push c type=voip\n"
		"< push one:pending two:pending\n"},
	{"an app in alert mode, except for a device that says otherwise",
		"set app.mode alert\n"
		"phone 1001 one a alert_token=$b\n"
		"phone 1001 two c alert_token=$d mode=voip\n"
		"> call c1 1001 wait=verdict\n"
		"push b type=alert\n"
		"push c type=voip\n"
		"< push one:pending two:pending\n"},
	{"a desk phone needs no waking",
		"> register 1001 desk contact=sip:1001@10.0.0.7\n"
		"< ok stored=false reason=no-push-data device=desk\n"
		"> call c1 1001 wait=register\n"
		"< registered devices.#=0 registered.contact=sip:1001@10.0.0.7 "
		"registered.wake_ms=null\n"
		"wait 2h\n"
		"> call c2 1001\n"
		"< unreachable no-device\n"},
	{"a phone that sleeps beside a desk phone is woken all the same",
		"> register 1001 desk contact=sip:1001@10.0.0.7\n"
		"< ok\n"
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 410 Unregistered\n"
		"< registered iphone:rejected:Unregistered:410 "
		"registered.contact=sip:1001@10.0.0.7\n"},

	/* registered-delay */
	{"registered-delay: a device that is registered is told later, the PBX goes on",
		"set calls.registered-delay 3s\n"
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"> register 1001 one contact=sip:1001@10.0.0.9\n"
		"< ok\n"
		"> call c1 1001 wait=register\n"
		"push b\n"
		"no push\n"
		"< registered one:pending two:pending registered.device=one "
		"registered.contact=sip:1001@10.0.0.9 registered.wake_ms=null\n"
		"wait 2999ms\n"
		"no push\n"
		"wait 1ms\n"
		"push a\n"},
	{"registered-delay: … unless it rings first",
		"set calls.registered-delay 3s\n"
		"phone 1001 one a\n"
		"> register 1001 one\n"
		"< ok\n"
		"> call c1 1001\n"
		"< registered one:pending registered.device=one\n"
		"> ringing c1 1001 device=one\n"
		"< ok known=true withdrawn=1\n"
		"wait 10s\n"
		"no push\n"
		"> call c1 1001\n"
		"< registered one:skipped:ringing duplicate=true\n"},
	{"registered-delay: … or the call ends first", "set calls.registered-delay 3s\n"
						       "phone 1001 one a\n"
						       "> register 1001 one\n"
						       "< ok\n"
						       "> call c1 1001\n"
						       "< registered one:pending\n"
						       "> end c1\n"
						       "< ok withdrawn=1\n"
						       "wait 10s\n"
						       "no push\n"},

	/* contacts */
	{"contacts are pushed to instead of the directory's devices",
		"phone 1001 iphone a\n"
		"> {'event':'call','call':'c1','to':'1001','contacts':["
		"'sip:1001@10.0.0.9;pn-provider=apns;pn-param=DEF123GHIJ.com.example.phone.voip;"
		"pn-prid=$b','sip:1001@10.0.0.7']}\n"
		"push b type=voip app=com.example.phone\n"
		"no push\n"
		"accept b\n"
		"< push token-bbbbbbbb:accepted\n"},
	{"a contact with its instance, its environment and both tokens",
		"> {'event':'call','call':'c1','to':'1001','contacts':["
		"'<sip:1001@10.0.0.9;pn-provider=apns.dev;"
		"pn-param=DEF123GHIJ.com.example.phone.remote&voip;"
		"pn-prid=$c:remote&$b:voip>;+sip.instance=\\\"<urn:uuid:x>\\\"']}\n"
		"push b env=sandbox\n"
		"reject b 400 BadDeviceToken\n"
		"< unreachable dead-token devices.0.device=urn:uuid:x\n"},
	{"a contact whose token the directory knows has that device's name and state",
		"phone 1001 iphone b\n"
		"> call c1 1001\n"
		"push b\n"
		"reject b 410 Unregistered\n"
		"< unreachable dead-token iphone:rejected:Unregistered:410\n"
		"> {'event':'call','call':'c2','to':'1001','contacts':["
		"'sip:1001@10.0.0.9;pn-provider=apns;pn-param=DEF123GHIJ.com.example.phone.voip;"
		"pn-prid=$b']}\n"
		"< unreachable dead-token iphone:skipped:dead-token\n"},
	{"a REGISTER with the token of a contact releases",
		"> {'event':'call','call':'c1','to':'1001','wait':'register','contacts':["
		"'sip:1001@10.0.0.9;pn-provider=apns;pn-param=DEF123GHIJ.com.example.phone.voip;"
		"pn-prid=$b']}\n"
		"push b\n"
		"accept b\n"
		"> register 1001 contact=sip:1001@10.0.0.9;pn-provider=apns;"
		"pn-param=DEF123GHIJ.com.example.phone.voip;pn-prid=$b\n"
		"< registered token-bbbbbbbb:accepted\n"
		"< ok stored=true calls.#=1\n"},
	{"contacts: an empty list, and ones that cannot be woken",
		"phone 1001 iphone a\n"
		"> {'event':'call','call':'c1','to':'1001','contacts':[]}\n"
		"< unreachable no-device devices.#=0\n"
		"> {'event':'call','call':'c2','to':'1001','contacts':['sip:x@10.0.0.7','<<<']}\n"
		"< unreachable no-device devices.#=0\n"},
	{"contacts: one token in two contacts is one phone",
		"> {'event':'call','call':'c1','to':'1001','contacts':["
		"'<sip:1001@10.0.0.9;pn-provider=apns;pn-param=DEF123GHIJ.com.example.phone.voip;"
		"pn-prid=$b>;+sip.instance=\\\"<one>\\\"',"
		"'<sip:1001@10.0.0.8;pn-provider=apns;pn-param=DEF123GHIJ.com.example.phone.voip;"
		"pn-prid=$b>;+sip.instance=\\\"<two>\\\"']}\n"
		"push b\n"
		"accept b\n"
		"< push one:accepted two:skipped:same-phone\n"},
};

int main(void)
{
	return script_main("devices", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
