#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Wakes the phones of a user who is called, and waits until one has registered: for any PBX,
# dialplan or script that can run a program and look at its exit status.
#
#     PBXPUSH_TO=1001 PBXPUSH_CALL=$call_id PBXPUSH_FROM_NUMBER=$number PBXPUSH_FROM_NAME=$name \
#         pbxpush-call.sh
#     printf '%s\n' "to=1001" "call=$call_id" "from-name=$name" | pbxpush-call.sh -
#
# Callers choose their names, and Call-IDs and numbers, too. So these come in the environment or,
# with `-`, as lines on standard input, and never on a command line that a shell reads.
#
#     PBXPUSH_TO           to=           the called user
#     PBXPUSH_CALL         call=         Call-ID, or what the PBX calls this call
#     PBXPUSH_FROM_NUMBER  from-number=  empty: anonymous; absent: unknown
#     PBXPUSH_FROM_NAME    from-name=
#     PBXPUSH_WAIT_MS      wait-ms=      how long to wait for a phone (15000)
#     PBXPUSH_EVENTS                     the event socket (/run/pbxpush/events.sock)
#
# Exit status, as pbxpushctl has it: 0 a phone has registered: dial; 1 this user must not ring;
# 3 nothing can be woken, no phone came, or the call is over; anything else: go on as if there were
# no pbxpush. An absent daemon costs nothing, one that hangs 0.3 s. Standard output has the reply.
#
# Tell the rest with pbxpushctl: `register USER --contact …` when the PBX sees a REGISTER, for that
# is what is waited for, `answer CALL` and `end CALL`.
set -u

verdict_s=0.3
wait_ms=${PBXPUSH_WAIT_MS:-15000}

if [ "${1-}" = - ]; then
	while IFS= read -r line || [ -n "$line" ]; do
		case $line in
		to=*) PBXPUSH_TO=${line#*=} ;;
		call=*) PBXPUSH_CALL=${line#*=} ;;
		from-number=*) PBXPUSH_FROM_NUMBER=${line#*=} ;;
		from-name=*) PBXPUSH_FROM_NAME=${line#*=} ;;
		wait-ms=*) wait_ms=${line#*=} ;;
		esac
	done
elif [ $# -gt 0 ]; then
	echo "pbxpush-call.sh: what to do comes in the environment, or with '-' on stdin" >&2
	exit 2
fi
case $wait_ms in
'' | 0?* | *[!0-9]* | ??????*)
	echo "pbxpush-call.sh: PBXPUSH_WAIT_MS: a number of milliseconds below 100000" >&2
	exit 2
	;;
esac
if [ -z "${PBXPUSH_TO-}" ] || [ -z "${PBXPUSH_CALL-}" ]; then
	echo "pbxpush-call.sh: PBXPUSH_TO and PBXPUSH_CALL are needed" >&2
	exit 2
fi

# A value may look like an option: behind `=` it is one for nobody.
set -- --json --events="${PBXPUSH_EVENTS:-/run/pbxpush/events.sock}" call \
	--to="$PBXPUSH_TO" --call="$PBXPUSH_CALL"
[ -z "${PBXPUSH_FROM_NUMBER+x}" ] || set -- "$@" --from-number="$PBXPUSH_FROM_NUMBER"
[ -z "${PBXPUSH_FROM_NAME-}" ] || set -- "$@" --from-name="$PBXPUSH_FROM_NAME"

# pbxpushctl keeps its time itself; timeout(1) is for the day on which it does not.
ask() { # SECONDS OPTION...
	seconds=$1
	shift
	timeout -k 1 "$((${seconds%.*} + 2))" pbxpushctl --timeout="$seconds" "$@"
}

# First what is to be done, which takes no time; then, with the same call again, the phone.
reply=$(ask "$verdict_s" "$@" --wait=verdict)
code=$?
case $code:$reply in
0:*'"verdict":"push"'*)
	reply=$(ask "$((wait_ms / 1000 + 2))" "$@" --wait=register --wait-ms="$wait_ms")
	code=$?
	;;
esac
[ -z "$reply" ] || printf '%s\n' "$reply"
exit "$code"
