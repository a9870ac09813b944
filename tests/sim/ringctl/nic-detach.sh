#!/bin/bash
# SPDX-License-Identifier: MIT
# A network card is detached when its guest has let go of it, and its script takes back what it did before the card's nodes go.
. "$(dirname "$0")/../../lib/ringctl.sh"
daemon_start
domain=$(simxen create --name mail)
back=$BACK/$domain front=/local/domain/$domain/device/vif

plug_is "echo noise; $PLUG_GOOD"
run 0 attach nic mail "script=$WORK/plug"
rm "$WORK/plug.log"
run 0 detach mail/vif0
expect "what is printed" "card vif0 detached from domain $domain" "$(cat "$WORK/stdout")"
says stderr noise
expect "the script's call" "called: offline type_if=vif
type=vif path=backend/vif/$domain/0 base=backend script=$WORK/plug netdev= vif=vif$domain.0
card: ready 6, connected" "$(cat "$WORK/plug.log")"
! has "$back/0" || fail "the back end's directory is left"
! has "$front/0" || fail "the front end's directory is left"
! has "/libxl/$domain/device/vif/0" || fail "xl's note is left"

# A script that fails then is told of, and stops nothing.
plug_is "$PLUG_GOOD; exit \$([ \$1 = online ]; echo \$?)"
run 0 attach nic mail "script=$WORK/plug"
run 0 detach --json "$domain/vif0"
says stderr "$WORK/plug offline exited with status 1; the card is detached all the same"
expect "the name" vif0 "$(jq -r .name "$WORK/stdout")"
! has "$back/0" || fail "the back end's directory is left"

# Without one, there is none to run.
rm "$WORK/plug.log"
run 0 attach nic mail script=none
run 0 detach mail/vif0
silent stderr
[ ! -e "$WORK/plug.log" ] || fail "a script was run"

# A guest that does not let go keeps its card, and the script is not run.
plug_is "$PLUG_GOOD"
run 0 attach nic mail "script=$WORK/plug"
touch "$WORK/kept"
run 5 detach --timeout=1 mail/vif0
says stderr "the guest did not let go of vif0 within 1 s; it will be detached when it does"
has "$back/0" || fail "the back end's directory is gone"
! grep -q offline "$WORK/plug.log" || fail "the script was run"
rm "$WORK/kept"
run 0 detach mail/vif0
grep -q offline "$WORK/plug.log" || fail "the script was not run"

# A disk's script is xl's to run.
rm "$WORK/plug.log"
xenstore-write "${BACK%vif}vbd/$domain/51712/script" "$WORK/plug" "${BACK%vif}vbd/$domain/51712/state" 2
run 0 detach mail/xvda
says stdout "disk xvda (51712) detached from domain $domain"
[ ! -e "$WORK/plug.log" ] || fail "a disk's script was run"

# What is not there cannot be detached; and a disk of that number is something else.
run 4 detach mail/vif0
says stderr "domain $domain has no card vif0"
run 4 detach mail/0
says stderr "domain $domain has no disk 0 (0)"
