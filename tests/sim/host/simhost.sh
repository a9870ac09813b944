#!/bin/sh
# SPDX-License-Identifier: MIT
# simhost: the command's status comes through, two hosts do not meet, nothing is left behind.
set -eu
. "$(dirname "$0")/lib.sh"
PATH=$1:$PATH

status=0
# shellcheck disable=SC2016
simhost run -- sh -c 'echo "$SIMXEN_DIR" >"$0"; exit 7' "${TMPDIR:-/tmp}/simhost-test.$$" || status=$?
dir=$(cat "${TMPDIR:-/tmp}/simhost-test.$$")
rm -f "${TMPDIR:-/tmp}/simhost-test.$$"
[ "$status" -eq 7 ]
[ ! -e "$dir" ]

one=$(simhost start)
two=$(simhost start)
(eval "$(simhost env "$one")" && xenstore-write /only/here 1)
(eval "$(simhost env "$two")" && refused xenstore-read /only/here)
pids="$(cat "$one/broker.pid" "$one/xenstored.pid" "$two/broker.pid" "$two/xenstored.pid")"
simhost stop "$one"
(eval "$(simhost env "$two")" && xenstore-write /still/alive 1)
simhost stop "$two"
[ ! -e "$one" ] && [ ! -e "$two" ]
for pid in $pids; do # a dead one nobody has waited for yet has no /proc/PID/exe
    case $(readlink "/proc/$pid/exe" || true) in
    */simxend | */xenstored) exit 1 ;;
    esac
done

# Interrupted, it stops what it started, the command included.
mark=$(mktemp)
# shellcheck disable=SC2016
simhost run -- sh -c 'echo "$SIMXEN_DIR $$" >"$0"; exec sleep 60' "$mark" &
runner=$!
wait_for test -s "$mark"
read -r dir command <"$mark"
rm "$mark"
kill -TERM "$runner"
status=0
wait "$runner" || status=$?
[ "$status" -eq 143 ]
[ ! -e "$dir" ]
ended() { ! readlink "/proc/$1/exe" >/dev/null; }
wait_for ended "$command"
