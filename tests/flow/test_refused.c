/* SPDX-License-Identifier: MIT */
/* Lines that are not served, and changes that do not reach the disk (CONTRACT 2). */
#include "script.h"

static const struct scenario scenarios[] = {
	{"every line gets one reply, whatever it is",
		"> {\n"
		"< error bad-json\n"
		"> []\n"
		"< error bad-json\n"
		"> {}\n"
		"< error missing-field field=event\n"
		"> {'event':1}\n"
		"< error bad-field field=event\n"
		"> {'event':null,'id':7}\n"
		"< error missing-field field=event id=7\n"
		"> {'event':'nonsense','id':'x'}\n"
		"< error unknown-event field=event id=x\n"
		"> {'event':'ping','id':{}}\n"
		"< error bad-field field=id id=-\n"
		"> {'event':'ping','id':'x'}\n"
		"< ok event=pong id=x\n"
		"> {'event':'ping'}\n"
		"< ok event=pong id=-\n"
		"counted pbxpush_events_total{event=\"ping\",outcome=\"ok\"} 2\n"},
	{"an event of the contract that is not built yet is unknown",
		"> {'event':'voicemail','to':'1001'}\n"
		"< error unknown-event field=event\n"
		"> {'event':'call-waiting','user':'1001','on':true}\n"
		"< error unknown-event field=event\n"},
	{"ids come back as they were", "> {'event':'ping','id':0}\n"
				       "< ok id=0\n"
				       "> {'event':'ping','id':-1}\n"
				       "< ok id=-1\n"
				       "> {'event':'ping','id':9223372036854775807}\n"
				       "< ok id=9223372036854775807\n"
				       "> {'event':'ping','id':''}\n"
				       "< ok id=\n"
				       "> {'event':'ping','id':null}\n"
				       "< ok id=-\n"},
	{"policy and forget are for admin-users",
		"calls> dnd 1001 true\n"
		"< error not-permitted\n"
		"calls> block 1001 1\n"
		"< error not-permitted\n"
		"calls> unblock 1001 1\n"
		"< error not-permitted\n"
		"calls> allow 1001 1\n"
		"< error not-permitted\n"
		"calls> unallow 1001 1\n"
		"< error not-permitted\n"
		"calls> show 1001\n"
		"< error not-permitted\n"
		"calls> forget 1001\n"
		"< error not-permitted\n"
		"> show 1001\n"
		"< ok dnd=false blocks.#=0 allows.#=0\n"
		"counted pbxpush_events_total{event=\"dnd\",outcome=\"not-permitted\"} 1\n"},
	{"calls and registrations are for everybody who may connect",
		"calls> register 1001 iphone token=$a\n"
		"< ok stored=true\n"
		"calls> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"calls> ringing c1\n"
		"< ok\n"
		"calls> call-state c1\n"
		"< ok state=ringing\n"
		"calls> answer c1\n"
		"< ok\n"
		"calls> end c1\n"
		"< ok\n"
		"calls> unregister 1001 iphone forget=true\n"
		"< ok known=true\n"
		"calls> {'event':'ping'}\n"
		"< ok event=pong\n"},
	{"a change that does not reach the disk is storage-failed, and holds",
		"phone 1001 iphone a\n"
		"disk full\n"
		"> dnd 1001 true\n"
		"< error storage-failed\n"
		"> call c1 1001\n"
		"< reject dnd\n"
		"> {'event':'register','user':'1001','device':'two','token':'$b','id':5}\n"
		"< error storage-failed id=5\n"
		"disk ok\n"
		"> dnd 1001 false\n"
		"< ok\n"
		"> call c2 1001 wait=verdict\n"
		"push a\n"
		"push b\n"
		"< push iphone:pending two:pending\n"
		"counted pbxpush_events_total{event=\"dnd\",outcome=\"storage-failed\"} 1\n"},
	{"a REGISTER releases whatever the disk says",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"accept a\n"
		"disk full\n"
		"> register 1001 iphone token=$b\n"
		"< registered iphone:accepted registered.device=iphone\n"
		"< error storage-failed\n"},
	{"only the reply waits for the disk: the next event sees the change",
		"> register 1001 iphone token=$a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"> unregister 1001 iphone forget=true\n"
		"> call c2 1001\n"
		"< unreachable no-device\n"
		"< ok event=register\n"
		"< ok event=unregister\n"},
};

int main(void)
{
	return script_main("refused", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
