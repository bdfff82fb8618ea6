/* SPDX-License-Identifier: MIT */
/* What the push service is asked for: headers and payload (CONTRACT 3). The fake transport checks besides that every
 * push has an apns-id of its own, priority 10, a body within the limit, and VoIP an expiration of 0. */
#include "script.h"

static const struct scenario scenarios[] = {
	{"a VoIP push, field by field",
		"phone 1001 iphone a\n"
		"> {'event':'call','call':'c1','to':'1001','from':{'number':'+15551230001',"
		"'name':'Alice','uri':'sip:alice@example.com'},'video':true,'wait':'verdict',"
		"'data':{'queue':7,'tags':['x']}}\n"
		"push a type=voip app=com.example.phone env=production priority=10 expiration_s=0 "
		"collapse=null uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b\n"
		"payload a v=1 type=call uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b call_id=c1 "
		"caller.name=Alice caller.number=+15551230001 callee=1001 video=true "
		"started_ms=$now expires_ms=$now+30000 data.queue=7 data.tags.#=1 aps={}\n"
		"< push iphone:pending truncated=-\n"},
	{"what the PBX does not say is not made up",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"payload a caller.name='Connecting call...' caller.number=null video=false data=-\n"
		"< push iphone:pending\n"},
	{"the site says how callers without a name are shown",
		"set calls.unknown-caller 'Somebody rings'\n"
		"set calls.anonymous-caller 'Number withheld'\n"
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"payload a caller.name='Somebody rings' caller.number=null\n"
		"< push iphone:pending\n"
		"> call c2 1001 wait=verdict from.number=anonymous\n"
		"push a\n"
		"payload a caller.name='Number withheld' caller.number=null\n"
		"< push iphone:pending\n"
		"> call c3 1001 wait=verdict from.number=\n"
		"push a\n"
		"payload a caller.name='Number withheld' caller.number=null\n"
		"< push iphone:pending\n"
		"> call c4 1001 wait=verdict from.uri=sip:anonymous@anonymous.invalid\n"
		"push a\n"
		"payload a caller.name='Number withheld' caller.number=null\n"
		"< push iphone:pending\n"
		"> call c5 1001 wait=verdict from.number=Private from.name=Bob\n"
		"push a\n"
		"payload a caller.name=Bob caller.number=null\n"
		"< push iphone:pending\n"},
	{"the number is E.164 where [numbers] knows, else as given",
		"set numbers.country-code 49\n"
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict from.number='030 123-456'\n"
		"push a\n"
		"payload a caller.name=+4930123456 caller.number=+4930123456\n"
		"< push iphone:pending\n"
		"> call c2 1001 wait=verdict from.number=42\n"
		"push a\n"
		"payload a caller.name=42 caller.number=42\n"
		"< push iphone:pending\n"
		"> call c3 1001 wait=verdict from.number=bob@example.com\n"
		"push a\n"
		"payload a caller.number=bob@example.com\n"
		"< push iphone:pending\n"
		"> call c4 1001 wait=verdict from.number=sip:+4930123456@gw;user=phone\n"
		"push a\n"
		"payload a caller.number=+4930123456\n"
		"< push iphone:pending\n"},
	{"only a URI: its user is a number where it looks like one",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict from.uri=sip:+4930123456@gw.example.com\n"
		"push a\n"
		"payload a caller.number=+4930123456\n"
		"< push iphone:pending\n"
		"> call c2 1001 wait=verdict from.uri=sip:bob@example.com\n"
		"push a\n"
		"payload a caller.number=null caller.name='Connecting call...'\n"
		"< push iphone:pending\n"},
	{"a name loses what could fake a call screen",
		"phone 1001 iphone a\n"
		"> {'event':'call','call':'c1','to':'1001','wait':'verdict',"
		"'from':{'name':'A\\u202El\\u0007i\\nce\\u2066'}}\n"
		"push a\n"
		"payload a caller.name=Alice\n"
		"< push iphone:pending\n"},
	{"a name too long for a push is cut, and the reply says so",
		"phone 1001 iphone a\n"
		"> call c1 1001 from.name=$6000n\n"
		"push a\n"
		"accept a\n"
		"< push iphone:accepted truncated=true\n"
		"> call c1 1001\n"
		"< push iphone:accepted truncated=true duplicate=true\n"},
	{"data too long for a push goes, and the call is not lost",
		"phone 1001 iphone a\n"
		"> call c1 1001 from.name=Alice data.x=$6000n\n"
		"push a\n"
		"payload a caller.name=Alice data=-\n"
		"accept a\n"
		"< push iphone:accepted truncated=true\n"},
	{"413: a smaller payload goes out once more",
		"phone 1001 iphone a\n"
		"> call c1 1001 from.name=Alice data.x=$2000n\n"
		"push a\n"
		"payload a data.x=*\n"
		"reject a 413 PayloadTooLarge\n"
		"push a\n"
		"payload a caller.name=Alice data=-\n"
		"accept a\n"
		"< push iphone:accepted truncated=true devices.0.attempts=2\n"},
	{"413: … but only once", "phone 1001 iphone a\n"
				 "> call c1 1001\n"
				 "push a\n"
				 "reject a 413 PayloadTooLarge\n"
				 "push a\n"
				 "reject a 413 PayloadTooLarge\n"
				 "< unreachable push-failed iphone:rejected:PayloadTooLarge:413\n"
				 "> show 1001\n"
				 "< ok devices.0.state=ok\n"},
	{"an alert push, field by field",
		"phone 1001 iphone - alert_token=$b\n"
		"> call c1 1001 from.number=+15551230001 from.name=Alice ring_ms=10500 "
		"wait=verdict\n"
		"push b type=alert app=com.example.phone priority=10 expiration_s=1763790011 "
		"collapse=b1b2b665-ac81-531c-a831-60e2d9c03e1b\n"
		"payload b v=1 type=call aps.alert.title=Alice aps.mutable-content=1 "
		"aps.interruption-level=time-sensitive caller.number=+15551230001 callee=1001 "
		"expires_ms=$now+10500\n"
		"< push iphone:pending\n"},
	{"the push gives up a little before the deadline",
		"phone 1001 iphone a\n"
		"> call c1 1001 ring_ms=1000 wait=verdict\n"
		"push a in_ms=900\n"
		"< push iphone:pending\n"
		"> call c2 1001 ring_ms=300000 wait=verdict\n"
		"push a in_ms=299000\n"
		"< push iphone:pending\n"},
	{"bytes that are no UTF-8, half surrogates and NUL lose no call",
		"phone 1001 iphone a\n"
		"> {'event':'call','call':'c1','to':'1001','wait':'verdict',"
		"'from':{'name':'A\xff\xfe\\ud800\\u0000z'}}\n"
		"push a\n"
		"payload a caller.name=A\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\n"
		"< push iphone:pending\n"},
};

int main(void)
{
	return script_main("request", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
