/* SPDX-License-Identifier: MIT */
/* `export`: the events that restore what is stored, and nothing that is not. A directory as small
 * as these is one page; tests/system/test_bulk.py turns many. */
#include "script.h"

static const struct scenario scenarios[] = {
	{"an empty directory\n"
	 "> export\n"
	 "< ok event=export items.#=0 cursor=null\n"
	 "> {'id':7,'event':'export','cursor':null}\n"
	 "< ok id=7 items.#=0 cursor=null\n"},
	{"only for admins: it holds tokens in full\n"
	 "calls> export\n"
	 "< error not-permitted\n"},
	{"a cursor that we did not give\n"
	 "> export cursor=u0\n"
	 "< error bad-field field=cursor\n"
	 "> export cursor=x\n"
	 "< error bad-field field=cursor\n"
	 "> export cursor=l5-0000000000000000\n"
	 "< error bad-field field=cursor\n"
	 "> export cursor=-\n"
	 "< error bad-field field=cursor\n"
	 "> export cursor=u99999999999999999999999999999999-0\n"
	 "< error bad-field field=cursor\n"
	 "> {'event':'export','cursor':''}\n"
	 "< error bad-field field=cursor\n"
	 "> {'event':'export','cursor':{}}\n"
	 "< error bad-field field=cursor\n"},

	/* devices */
	{"a device with all that was said of it, not what was learned or where it is\n"
	 "> register 1001 iphone token=$a alert_token=$b environment=sandbox mode=alert "
	 "contact=sip:1001@192.0.2.7\n"
	 "< ok stored=true\n"
	 "> export\n"
	 "< ok items.#=1 cursor=null items.0.event=register items.0.user=1001 "
	 "items.0.device=iphone items.0.app=com.example.phone items.0.token=$a "
	 "items.0.alert_token=$b items.0.environment=sandbox items.0.mode=alert "
	 "items.0.sip=false items.0.contact=- items.0.expires_s=-\n"},
	{"what was not said stays unsaid\n"
	 "> register 1001 iphone alert_token=$b sip=false\n"
	 "< ok stored=true\n"
	 "> export\n"
	 "< ok items.#=1 items.0.event=register items.0.token=- items.0.alert_token=$b "
	 "items.0.environment=- items.0.mode=- items.0.sip=false\n"},
	{"an environment that was learned is learned again\n"
	 "set app.environment auto\n"
	 "phone 1001 iphone a\n"
	 "> call c1 1001\n"
	 "push a env=production\n"
	 "accept a\n"
	 "< push iphone:accepted\n"
	 "> export\n"
	 "< ok items.#=1 items.0.environment=-\n"},
	{"a dead token is one whose death will be heard of again\n"
	 "phone 1001 iphone a environment=production\n"
	 "> call c1 1001\n"
	 "push a\n"
	 "reject a 400 BadDeviceToken\n"
	 "< unreachable dead-token iphone:rejected:BadDeviceToken:400\n"
	 "> export\n"
	 "< ok items.#=1 items.0.token=$a items.0.environment=production\n"},
	{"a phone without tokens is not restored, nor its do-not-disturb\n"
	 "> register 1001 desk\n"
	 "< ok stored=false\n"
	 "> dnd 1001 true device=desk\n"
	 "< ok\n"
	 "> export\n"
	 "< ok items.#=0 cursor=null\n"},

	/* policy */
	{"all of one user together: devices and what is theirs, then the rest\n"
	 "phone 1001 iphone a\n"
	 "> dnd 1001 true device=iphone until_ms=$now+500\n"
	 "< ok\n"
	 "> dnd 1001 true\n"
	 "< ok\n"
	 "> {'event':'dnd-schedule','user':'1001','timezone':'Europe/Berlin','windows':"
	 "[{'days':['mon','sun'],'from':'22:00','to':'07:00'}]}\n"
	 "< ok\n"
	 "> call-waiting 1001 false\n"
	 "< ok\n"
	 "> mute 1001 family until_ms=$now+500\n"
	 "< ok\n"
	 "> export\n"
	 "< ok items.#=6 cursor=null items.0.event=register "
	 "items.1.event=dnd items.1.user=1001 items.1.device=iphone items.1.on=true "
	 "items.1.until_ms=$now+500 "
	 "items.2.event=dnd items.2.user=1001 items.2.device=- items.2.on=true "
	 "items.2.until_ms=- "
	 "items.3.event=dnd-schedule items.3.user=1001 items.3.timezone=Europe/Berlin "
	 "items.3.windows.#=1 items.3.windows.0.days.1=sun items.3.windows.0.from=22:00 "
	 "items.3.windows.0.to=07:00 "
	 "items.4.event=call-waiting items.4.user=1001 items.4.on=false "
	 "items.5.event=mute items.5.user=1001 items.5.conversation=family "
	 "items.5.until_ms=$now+500\n"
	 "wait 1s\n"
	 "> export\n"
	 "< ok items.#=4 items.1.event=dnd items.1.device=- items.2.event=dnd-schedule "
	 "items.3.event=call-waiting\n"},
	{"what was switched off, cleared or taken away\n"
	 "> dnd 1001 true\n"
	 "< ok\n"
	 "> dnd 1001 false\n"
	 "< ok\n"
	 "> mute 1001 family\n"
	 "< ok\n"
	 "> unmute 1001 family\n"
	 "< ok\n"
	 "> block * +4990*\n"
	 "< ok\n"
	 "> unblock * +4990*\n"
	 "< ok\n"
	 "> {'event':'dnd-schedule','user':'1001','windows':[]}\n"
	 "< ok\n"
	 "> export\n"
	 "< ok items.#=0 cursor=null\n"},
	{"a block, as it is compared\n"
	 "set numbers.country-code 49\n"
	 "> block *@T.example.com 090-1*\n"
	 "< ok\n"
	 "> export\n"
	 "< ok items.#=1 items.0.event=block items.0.user=*@t.example.com "
	 "items.0.number=+49901* items.0.device=-\n"},
	{"an allow\n"
	 "set directory.default-domain pbx.example.com\n"
	 "> allow 1001 anonymous\n"
	 "< ok\n"
	 "> export\n"
	 "< ok items.#=1 items.0.event=allow items.0.user=1001@pbx.example.com "
	 "items.0.number=anonymous\n"},
	{"names that JSON must escape\n"
	 "> {'event':'mute','user':'1001','conversation':'a\\u0022b\\tc'}\n"
	 "< ok\n"
	 "> export\n"
	 "< ok items.#=1 items.0.conversation=a\"b\tc\n"},
};

int main(void)
{
	return script_main("export", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
