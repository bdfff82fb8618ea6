# SPDX-License-Identifier: MIT
# Puts the lines of pbxpush into the kamailio.cfg that comes with Kamailio:
#   sed -i.orig -f stock.sed /etc/kamailio/kamailio.cfg
/^####### Routing Logic/i\
#!define PBXPUSH_VOICEMAIL TOVOICEMAIL\
include_file "pbxpush.cfg"\

/^[[:space:]]*# CANCEL processing/i\
	route(PBXPUSH);\

/^route\[REGISTRAR\]/,/^}/ {
	/if (!save(/i\
	route(PBXPUSH_REGISTER);
	/sl_reply_error();/a\
		exit;
	/^[[:space:]]exit;/i\
	route(PBXPUSH_REGISTERED);
}
/^route\[LOCATION\]/,/^}/ {
	/\$avp(oexten) = \$rU;/i\
	route(PBXPUSH_INVITE);
}
/^branch_route\[MANAGE_BRANCH\]/a\
	route(PBXPUSH_BRANCH);
/^onreply_route\[MANAGE_REPLY\]/a\
	route(PBXPUSH_REPLY);
/^failure_route\[MANAGE_FAILURE\]/a\
	route(PBXPUSH_FAILURE);
