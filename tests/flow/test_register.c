/* SPDX-License-Identifier: MIT */
/* `register`, `unregister`, `forget` (CONTRACT 2.2). */
#include "script.h"

#define PN     "pn-provider=apns;pn-param=DEF123GHIJ.com.example.phone.voip;"
#define FIELDS "token=$a alert_token=$b app=com.example.phone environment=sandbox mode=alert"

static const struct scenario scenarios[] = {
	/* what is stored */
	{"push data in fields",
		"> register 1001 iphone " FIELDS " contact=sip:1001@10.0.0.9 expires_s=600\n"
		"< ok event=register stored=true reason=- device=iphone token_state=ok "
		"moved_from=- "
		"feature_caps=*;+sip.pns=\"apns\" calls.#=0\n"
		"> show 1001\n"
		"< ok devices.#=1 devices.0.device=iphone devices.0.app=com.example.phone "
		"devices.0.token=aaaaaaaa devices.0.mode=alert devices.0.environment=sandbox "
		"devices.0.registered=true\n"
		"wait 600s\n"
		"> show 1001\n"
		"< ok devices.0.registered=false\n"},
	{"a token of any case is one token",
		"> {'event':'register','user':'1001','token':'"
		"ABCDEFabcdef0123456789abcdef012345678901'}\n"
		"< ok stored=true device=*\n"
		"> {'event':'register','user':'1001','device':'x','token':'"
		"abcdefabcdef0123456789ABCDEF012345678901'}\n"
		"< ok stored=true device=x\n"
		"> show 1001\n"
		"< ok devices.#=1 devices.0.device=x devices.0.token=abcdefab\n"},
	{"pn: the parameters of RFC 8599", "> register 1001 iphone pn.provider=apns "
					   "pn.param=DEF123GHIJ.com.example.phone.voip pn.prid=$a\n"
					   "< ok stored=true device=iphone token_state=ok\n"
					   "> call c1 1001 wait=verdict\n"
					   "push a type=voip env=production app=com.example.phone\n"
					   "< push iphone:pending\n"},
	{"the parameters inside the contact URI, without a name: one is derived from the token",
		"> register 1001 contact=sip:1001@10.0.0.9;" PN "pn-prid=$a\n"
		"< ok stored=true device=*\n"
		"> call c1 1001\n"
		"push a\n"
		"accept a\n"
		"< push devices.0.result=accepted\n"},
	{"a whole Contact value: instance and expiry",
		"> {'event':'register','user':'1001','contact':'\\\"Bob\\\" <sip:1001@10.0.0.9;" PN
		"pn-prid=$a>;+sip.instance=\\\"<urn:uuid:f81d>\\\";expires=120'}\n"
		"< ok stored=true device=urn:uuid:f81d\n"
		"wait 119s\n"
		"> show 1001\n"
		"< ok devices.0.registered=true\n"
		"wait 1s\n"
		"> show 1001\n"
		"< ok devices.0.registered=false\n"},
	{"apns.dev is the sandbox", "> register 1001 iphone pn.provider=apns.dev "
				    "pn.param=DEF123GHIJ.com.example.phone.voip pn.prid=$a\n"
				    "< ok stored=true\n"
				    "> call c1 1001 wait=verdict\n"
				    "push a env=sandbox\n"
				    "< push iphone:pending\n"},
	{"Linphone: both tokens in one parameter, percent-encoded",
		"> register 1001 iphone contact=sip:1001@10.0.0.9;pn-provider=apns;"
		"pn-param=DEF123GHIJ.com.example.phone.remote%26voip;"
		"pn-prid=$b%3Aremote%26$a%3Avoip\n"
		"< ok stored=true device=iphone\n"
		"> call c1 1001 wait=verdict\n"
		"push a type=voip\n"
		"< push iphone:pending\n"
		"> register 1001 iphone mode=alert\n"
		"< ok stored=false\n"},
	{"a service that is no service belongs to the bundle, and the token is the ordinary one",
		"team com.example.phone.prod DEF123GHIJ\n"
		"> register 1001 iphone pn.provider=apns "
		"pn.param=DEF123GHIJ.com.example.phone.prod "
		"pn.prid=$b\n"
		"< ok stored=true\n"
		"> call c1 1001 wait=verdict\n"
		"push b type=alert app=com.example.phone.prod\n"
		"< push iphone:pending\n"},
	{"pn beats the contact, and fields beat both",
		"> "
		"{'event':'register','user':'1001','device':'iphone','contact':'sip:1001@10.0.0."
		"9;" PN
		"pn-prid=$a','pn':{'provider':'apns','param':'DEF123GHIJ.com.example.phone.voip',"
		"'prid':'$b'},'token':'$c'}\n"
		"< ok stored=true\n"
		"> show 1001\n"
		"< ok devices.#=1 devices.0.token=cccccccc\n"},
	{"sip=false stores the token and is no presence",
		"> register 1001 iphone token=$a sip=false\n"
		"< ok stored=true device=iphone\n"
		"> show 1001\n"
		"< ok devices.0.registered=false\n"},
	{"… and releases nobody", "phone 1001 iphone a\n"
				  "> call c1 1001 wait=register wait_ms=5000\n"
				  "push a\n"
				  "accept a\n"
				  "> register 1001 iphone token=$a sip=false\n"
				  "< ok stored=true calls.#=1\n"
				  "quiet\n"
				  "wait 5s\n"
				  "< unreachable no-register iphone:accepted\n"},

	/* what is not */
	{"a REGISTER without push data is presence only",
		"> register 1001 desk contact=sip:1001@10.0.0.7\n"
		"< ok stored=false reason=no-push-data device=desk token_state=null calls.#=0\n"
		"> show 1001\n"
		"< ok devices.#=1 devices.0.registered=true\n"},
	{"another provider is presence only",
		"> register 1001 android contact=sip:1001@10.0.0.7;pn-provider=fcm;"
		"pn-param=project;pn-prid=abc\n"
		"< ok stored=false reason=unsupported-provider device=android\n"
		"> show 1001\n"
		"< ok devices.0.registered=true devices.0.token=null\n"},
	{"an app that is not configured, and another team's",
		"> register 1001 one token=$a app=com.example.unknown\n"
		"< ok stored=false reason=unknown-app device=one\n"
		"> register 1001 two pn.provider=apns pn.param=ZZZ123GHIJ.com.example.phone.voip "
		"pn.prid=$a\n"
		"< ok stored=false reason=unknown-app device=two\n"
		"> register 1001 three token=$a app=com.example.unknown sip=false\n"
		"< ok stored=false reason=unknown-app\n"
		"> show 1001\n"
		"< ok devices.#=2\n"},
	{"a capability query changes nothing, and releases nobody",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register wait_ms=5000\n"
		"push a\n"
		"accept a\n"
		"> register 1001 iphone contact=sip:1001@10.0.0.9;pn-provider=apns\n"
		"< ok stored=false reason=no-push-data device=iphone token_state=ok "
		"feature_caps=*;+sip.pns=\"apns\"\n"
		"quiet\n"
		"> show 1001\n"
		"< ok devices.#=1 devices.0.token=aaaaaaaa devices.0.registered=false\n"
		"wait 5s\n"
		"< unreachable no-register iphone:accepted\n"},
	{"several apps, and a token without a name of one",
		"team com.example.other DEF123GHIJ\n"
		"> register 1001 iphone token=$a\n"
		"< error missing-field field=app\n"
		"> register 1001 iphone token=$a app=com.example.other\n"
		"< ok stored=true\n"},
	{"what is broken is a bad field",
		"> register 1001 contact=nonsense\n"
		"< error bad-field field=contact\n"
		"> register 1001 contact=sip:1001@h;pn-provider=apns;pn-param=nodot;pn-prid=$a\n"
		"< error bad-field field=contact\n"
		"> register 1001 contact=sip:1001@h;" PN "pn-prid=xyz\n"
		"< error bad-field field=contact\n"
		"> register 1001 pn.provider=apns pn.param=nodot pn.prid=$a\n"
		"< error bad-field field=pn.param\n"
		"> register 1001 pn.provider=apns pn.param=DEF123GHIJ.com.example.phone.voip "
		"pn.prid=xyz\n"
		"< error bad-field field=pn.prid\n"
		"> register 1001 token=xyz\n"
		"< error bad-field field=token\n"
		"> register\n"
		"< error missing-field field=user\n"
		"> show 1001\n"
		"< ok devices.#=0\n"},

	/* the same again */
	{"same device, new token: replaced", "> register 1001 iphone token=$a\n"
					     "< ok\n"
					     "> register 1001 iphone token=$b\n"
					     "< ok\n"
					     "> show 1001\n"
					     "< ok devices.#=1 devices.0.token=bbbbbbbb\n"},
	{"same token, new name: renamed", "> register 1001 iphone token=$a\n"
					  "< ok\n"
					  "> register 1001 renamed token=$a\n"
					  "< ok device=renamed\n"
					  "> show 1001\n"
					  "< ok devices.#=1 devices.0.device=renamed\n"},
	{"a REGISTER that lacks a token erases none",
		"> register 1001 iphone token=$a alert_token=$b\n"
		"< ok\n"
		"> register 1001 iphone alert_token=$c\n"
		"< ok token_state=ok\n"
		"> register 1001 iphone\n"
		"< ok stored=false token_state=ok\n"
		"> call c1 1001 wait=verdict\n"
		"push a type=voip\n"
		"< push iphone:pending\n"},
	{"a token under a second user is shared", "> register 1001 iphone token=$a\n"
						  "< ok\n"
						  "> register 1002 iphone token=$a\n"
						  "< ok moved_from=-\n"
						  "> show 1001\n"
						  "< ok devices.#=1\n"},
	{"… or moved, where the app has one account", "set app.accounts one\n"
						      "> register 1001 iphone token=$a\n"
						      "< ok moved_from=-\n"
						      "> register 1002 iphone token=$a\n"
						      "< ok moved_from=1001\n"
						      "> show 1001\n"
						      "< ok devices.#=0\n"},
	{"a dead token comes back with a new one",
		"phone 1001 iphone a environment=production\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 400 BadDeviceToken\n"
		"< unreachable dead-token iphone:rejected:BadDeviceToken:400\n"
		"wait 1s\n"
		"> register 1001 iphone token=$a\n"
		"< ok stored=true token_state=dead\n"
		"> register 1001 iphone token=$b\n"
		"< ok token_state=ok\n"},
	{"… with another environment",
		"phone 1001 iphone a environment=production\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 400 BadDeviceToken\n"
		"< unreachable dead-token iphone:rejected:BadDeviceToken:400\n"
		"> register 1001 iphone token=$a environment=sandbox\n"
		"< ok token_state=ok\n"
		"> call c2 1001 wait=verdict\n"
		"push a env=sandbox\n"
		"< push iphone:pending\n"},
	{"… and after a 410 with a later REGISTER",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"reject a 410 Unregistered\n"
		"< unreachable dead-token iphone:rejected:Unregistered:410\n"
		"wait 1s\n"
		"> register 1001 iphone token=$a\n"
		"< ok token_state=ok\n"
		"> call c2 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"},

	/* whom it releases */
	{"released by device, by token, by prid",
		"phone 1001 iphone a alert_token=$b\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"> register 1001 iphone\n"
		"< registered iphone:pending registered.device=iphone\n"
		"< ok\n"
		"> call c2 1001 wait=register\n"
		"push a\n"
		"> register 1001 token=$a\n"
		"< registered iphone:pending registered.device=iphone\n"
		"< ok device=iphone\n"
		"> call c3 1001 wait=register\n"
		"push a\n"
		"> register 1001 contact=sip:1001@10.0.0.9;" PN "pn-prid=$a\n"
		"< registered iphone:pending registered.device=iphone\n"
		"< ok\n"
		"> call c4 1001 wait=register\n"
		"push a\n"
		"> register 1001 newname alert_token=$b\n"
		"< registered iphone:pending registered.device=iphone\n"
		"< ok device=newname\n"},
	{"one that identifies nothing releases with device null",
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"accept a\n"
		"wait 800ms\n"
		"> register 1001 contact=sip:1001@10.0.0.9\n"
		"< registered iphone:accepted registered.device=null registered.wake_ms=800 "
		"registered.contact=sip:1001@10.0.0.9\n"
		"< ok stored=false calls.#=1\n"},
	{"one from another known device never does",
		"phone 1001 iphone a\n"
		"> register 1001 desk contact=sip:1001@10.0.0.7\n"
		"< ok\n"
		"phone 1001 ipad b\n"
		"> dnd 1001 true device=ipad\n"
		"< ok\n"
		"> call c1 1001 wait=register\n"
		"push a\n"
		"accept a\n"
		"> register 1001 desk contact=sip:1001@10.0.0.7\n"
		"< ok\n"
		"> register 1001 ipad\n"
		"< ok\n"
		"quiet\n"
		"> register 1001 iphone\n"
		"< registered iphone:accepted ipad:skipped:dnd registered.device=iphone\n"
		"< ok\n"},
	{"one of another user never does", "phone 1001 iphone a\n"
					   "> call c1 1001 wait=register\n"
					   "push a\n"
					   "accept a\n"
					   "> register 1002 iphone\n"
					   "< ok calls.#=0\n"
					   "quiet\n"
					   "> end c1\n"
					   "< ended cancelled iphone:accepted\n"
					   "< ok\n"},
	{"a waiter for one device is not released by another",
		"phone 1001 one a\n"
		"phone 1001 two b\n"
		"> call c1 1001 wait=register device=one\n"
		"push a\n"
		"push b\n"
		"> register 1001 two\n"
		"< ok\n"
		"quiet\n"
		"> register 1001 one\n"
		"< registered one:pending registered.device=one\n"
		"< ok\n"},

	/* calls */
	{"calls: a late phone learns what became of them",
		"set calls.remember 10m\n"
		"phone 1001 iphone a\n"
		"> call c1 1001 wait=verdict\n"
		"push a\n"
		"< push iphone:pending\n"
		"accept a\n"
		"> register 1001 iphone\n"
		"< ok calls.#=1 calls.0.call=c1 calls.0.uuid=b1b2b665-ac81-531c-a831-60e2d9c03e1b "
		"calls.0.state=ringing calls.0.device=null calls.0.expires_ms=$now+30000 "
		"calls.0.ended_ms=null\n"
		"wait 3s\n"
		"> answer c1 device=desk\n"
		"< ok\n"
		"> register 1001 iphone\n"
		"< ok calls.0.state=answered calls.0.device=desk calls.0.ended_ms=null\n"
		"> end c1\n"
		"< ok\n"
		"> register 1001 iphone\n"
		"< ok calls.0.state=completed calls.0.device=desk calls.0.ended_ms=$now\n"
		"wait 10m\n"
		"> register 1001 iphone\n"
		"< ok calls.#=0\n"},
	{"calls: cancelled and timed out",
		"phone 1001 iphone a\n"
		"> call c1 1001\n"
		"push a\n"
		"accept a\n"
		"< push iphone:accepted\n"
		"> end c1\n"
		"< ok\n"
		"> register 1001 iphone\n"
		"< ok calls.#=1 calls.0.state=cancelled calls.0.ended_ms=$now\n"
		"> call c2 1001\n"
		"push a\n"
		"accept a\n"
		"< push iphone:accepted\n"
		"wait 30s\n"
		"> register 1001 iphone token=$a\n"
		"< ok calls.#=2\n"},
	{"calls: a push that was withdrawn, refused or skipped is no call of this phone",
		"phone 1001 one a\n"
		"> call c1 1001\n"
		"push a\n"
		"> end c1\n"
		"< ended cancelled one:withdrawn\n"
		"< ok\n"
		"> call c2 1001\n"
		"push a\n"
		"reject a 403 InvalidProviderToken\n"
		"< unreachable push-failed one:rejected:InvalidProviderToken:403\n"
		"> dnd 1001 true device=one\n"
		"< ok\n"
		"> call c3 1001\n"
		"< reject dnd one:skipped:dnd\n"
		"> register 1001 one\n"
		"< ok calls.#=0\n"},
	{"calls: only those pushed to this phone", "phone 1001 one a\n"
						   "phone 1001 two b\n"
						   "> dnd 1001 true device=two\n"
						   "< ok\n"
						   "> call c1 1001 wait=verdict\n"
						   "push a\n"
						   "< push one:pending two:skipped:dnd\n"
						   "> register 1001 two\n"
						   "< ok calls.#=0\n"},

	/* unregister */
	{"expires_s=0 is unregister: no presence, the token stays, nobody is released",
		"> register 1001 iphone token=$a\n"
		"< ok\n"
		"> call c1 1001 wait=register wait_ms=1000\n"
		"push a\n"
		"accept a\n"
		"> register 1001 iphone expires_s=0\n"
		"< ok event=register stored=false device=iphone token_state=ok\n"
		"quiet\n"
		"> show 1001\n"
		"< ok devices.#=1 devices.0.registered=false devices.0.token=aaaaaaaa\n"
		"wait 1s\n"
		"< unreachable no-register iphone:accepted\n"},
	{"so is ;expires=0 in the contact",
		"> register 1001 iphone token=$a contact=sip:1001@10.0.0.9\n"
		"< ok\n"
		"> register 1001 contact=<sip:1001@10.0.0.9>;expires=0\n"
		"< ok device=iphone\n"
		"> show 1001\n"
		"< ok devices.#=1 devices.0.registered=false\n"},
	{"the contact `*` is every device",
		"> register 1001 one token=$a\n"
		"< ok\n"
		"> register 1001 two token=$b\n"
		"< ok\n"
		"> register 1001 contact=*\n"
		"< ok device=null\n"
		"> show 1001\n"
		"< ok devices.#=2 devices.0.registered=false devices.1.registered=false\n"},
	{"unregister by device, by contact, and of one that nobody knows",
		"> register 1001 one token=$a\n"
		"< ok\n"
		"> register 1001 two token=$b contact=sip:1001@10.0.0.9\n"
		"< ok\n"
		"> unregister 1001 one\n"
		"< ok event=unregister known=true device=one\n"
		"> unregister 1001 contact=sip:1001@10.0.0.9\n"
		"< ok known=true device=two\n"
		"> show 1001\n"
		"< ok devices.#=2 devices.0.registered=false devices.1.registered=false\n"
		"> unregister 1001 nine\n"
		"< ok known=false\n"
		"> unregister 1009\n"
		"< ok known=false\n"},
	{"unregister with forget is a log-out: the phone cannot be woken any more",
		"> register 1001 one token=$a\n"
		"< ok\n"
		"> unregister 1001 one forget=true\n"
		"< ok known=true\n"
		"> call c1 1001\n"
		"< unreachable no-device devices.#=0\n"
		"> unregister 1001 one forget=true\n"
		"< ok known=false\n"},
	{"unregister with forget, without a device, is all of them",
		"> register 1001 one token=$a\n"
		"< ok\n"
		"> register 1001 two token=$b\n"
		"< ok\n"
		"> dnd 1001 true\n"
		"< ok\n"
		"> unregister 1001 forget=true\n"
		"< ok known=true\n"
		"> show 1001\n"
		"< ok devices.#=0 dnd=true\n"
		"> unregister 1001 forget=true\n"
		"< ok known=false\n"},
	{"a contact with pn-provider and no pn-prid is a log-out",
		"> register 1001 one token=$a contact=sip:1001@10.0.0.9\n"
		"< ok\n"
		"> unregister 1001 one contact=sip:1001@10.0.0.9;pn-provider=apns\n"
		"< ok known=true\n"
		"> show 1001\n"
		"< ok devices.#=0\n"},

	/* forget */
	{"forget a device, a token, everything", "> register 1001 one token=$a\n"
						 "< ok\n"
						 "> register 1001 two token=$b\n"
						 "< ok\n"
						 "> register 1002 two token=$b\n"
						 "< ok\n"
						 "> forget 1001 one\n"
						 "< ok event=forget forgotten=1\n"
						 "> forget token=$b\n"
						 "< ok forgotten=2\n"
						 "> dnd 1001 true\n"
						 "< ok\n"
						 "> block 1001 +1\n"
						 "< ok\n"
						 "> register 1001 three token=$c\n"
						 "< ok\n"
						 "> forget 1001\n"
						 "< ok forgotten=1\n"
						 "> show 1001\n"
						 "< ok devices.#=0 dnd=false blocks.#=0\n"
						 "> forget 1001\n"
						 "< ok forgotten=0\n"
						 "> forget device=one\n"
						 "< error missing-field field=user\n"},
};

int main(void)
{
	return script_main("register", scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
}
