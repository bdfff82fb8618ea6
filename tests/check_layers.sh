#!/bin/sh
# SPDX-License-Identifier: MIT
# Proves the arrows between the folders: each may include what its line allows, and nothing else.
set -eu
cd "$(dirname "$0")/.."

# folder | project folders | third-party headers (an extended regular expression)
layers='
base      |                                                     |
core      | base                                                | jansson\.h
directory | base core                                           | sqlite3\.h
apns      | base core                                           | nghttp2/|openssl/|event2/
pbx       | base core                                           | event2/
status    | base core                                           | event2/
hook      | base core                                           | event2/|curl/
daemon    | base core directory apns pbx status hook            | event2/|openssl/|jansson\.h|ini\.h
ctl       | base core                                           | jansson\.h
'
third_party='jansson\.h|sqlite3\.h|nghttp2/|openssl/|event2/|ini\.h|curl/|cmocka\.h'
faults=0

includes() { # folder: every include in it, with its place
	find "src/$1" "include/pbxpush/$1" -name '*.[ch]' -exec grep -nH '^#include' {} + 2>/dev/null
}

complain() {
	echo "check-layers: $1 may not include:" >&2
	echo "$2" >&2
	faults=1
}

while IFS='|' read -r folder projects libraries; do
	folder=$(echo $folder) # strips the blanks
	[ -n "$folder" ] || continue
	allowed=$(echo "$folder" $projects | tr ' ' '|')
	bad=$(includes "$folder" | grep '<pbxpush/' | grep -vE "<pbxpush/($allowed)/" || true)
	[ -z "$bad" ] || complain "$folder" "$bad"
	# the third field may hold bars of its own
	libraries=$(echo $libraries)
	bad=$(includes "$folder" | grep -E "<($third_party)" | grep -vE "<(${libraries:-nothing})" || true)
	[ -z "$bad" ] || complain "$folder" "$bad"
	bad=$(includes "$folder" | grep '"[^"]*/' || true)
	[ -z "$bad" ] || complain "$folder" "$bad"
done <<EOF
$layers
EOF
[ "$faults" = 0 ]
