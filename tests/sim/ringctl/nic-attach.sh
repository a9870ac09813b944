#!/bin/bash
# SPDX-License-Identifier: MIT
# A network card is attached with what libxl writes, its script is run as libxl runs it, and ringctl tells what it did.
. "$(dirname "$0")/../../lib/ringctl.sh"
daemon_start
domain=$(simxen create --name mail)
back=$BACK/$domain front=/local/domain/$domain/device/vif

# The script is told of a card that is ready; what it prints is no part of ringctl's output.
plug_is "echo noise; $PLUG_GOOD"
run 0 attach nic mail "bridge=br0,script=$WORK/plug,rate=10Mb/s@20ms,mtu=9000" "mac=00:16:3E:0a:0b:0c,ip=10.0.0.1 10.0.0.2,vifname=mail0"
says stdout "card vif0 attached to domain $domain: MAC address 00:16:3e:0a:0b:0c, connected by $WORK/plug"
expect "what is printed" 1 "$(wc -l <"$WORK/stdout")"
says stderr noise
expect "the script's call" "called: online type_if=vif
type=vif path=backend/vif/$domain/0 base=backend script=$WORK/plug netdev= vif=vif$domain.0
card: ready 2, " "$(cat "$WORK/plug.log")"

# What is in xenstore.
for pair in frontend="$front/0" frontend-id="$domain" online=1 script="$WORK/plug" vifname=mail0 mac=00:16:3e:0a:0b:0c "ip=10.0.0.1 10.0.0.2" \
    rate=25000,20000 mtu=9000 bridge=br0 handle=0 type=vif hotplug-status=connected; do
    expect "${pair%%=*} of the back end" "${pair#*=}" "$(node "$back/0/${pair%%=*}")"
done
for pair in backend="$back/0" backend-id=0 state=1 handle=0 mac=00:16:3e:0a:0b:0c mtu=9000 trusted=1; do
    expect "${pair%%=*} of the front end" "${pair#*=}" "$(node "$front/0/${pair%%=*}")"
done
expect "xl's own note" "$back/0" "$(node "/libxl/$domain/device/vif/0/backend")"

# The next ones have the next free numbers, and each an address of its own.
plug_is "$PLUG_GOOD"
run 0 attach --json nic "$domain" "script=$WORK/plug"
expect "the second card" '["vif1",1]' "$(jq -c '[.name, .devid]' "$WORK/stdout")"
expect "its bridge" xenbr0 "$(node "$back/1/bridge")"
expect "its rate" "(none)" "$(node "$back/1/rate")"
expect "its script" "$WORK/plug" "$(jq -r .script "$WORK/stdout")"
first=$(jq -r .mac "$WORK/stdout")
[[ $first =~ ^00:16:3e:[0-7][0-9a-f](:[0-9a-f][0-9a-f]){2}$ ]] || fail "'$first' is not an address of Xen's"
expect "its address" "$first" "$(node "$back/1/mac")"
expect "its guest's address" "$first" "$(node "$front/1/mac")"
run 0 attach nic "$domain" "script=$WORK/plug,devid=5"
run 0 attach --json nic "$domain" "script=$WORK/plug"
expect "the one after a gap" vif2 "$(jq -r .name "$WORK/stdout")"
[ "$first" != "$(jq -r .mac "$WORK/stdout")" ] || fail "two cards have the same address"

# Without a script, nobody is to wait for one.
rm "$WORK/plug.log"
run 0 attach --json nic "$domain" script=none,devid=7
expect "the script of none" null "$(jq .script "$WORK/stdout")"
! has "$back/7/script" || fail "there is a script"
! has "$back/7/hotplug-status" || fail "a script is awaited"
[ ! -e "$WORK/plug.log" ] || fail "a script was run"
run 0 attach nic "$domain" script=none,devid=8
says stdout "card vif8 attached to domain $domain: MAC address 00:16:3e:"
says stdout "no script was run"

# Other back end nodes than vif's.
xenstore-write "${BACK%vif}net" ""
(while :; do xenstore-exists "${BACK%vif}net/$domain/0/state" && break; sleep 0.02; done
    xenstore-write "${BACK%vif}net/$domain/0/ringback-status" ready) &
daemon_pids+=($!)
plug_is "$PLUG_GOOD"
run 0 attach --device-kind=net nic "$domain" "script=$WORK/plug"
grep -q "^type=net path=backend/net/$domain/0 " "$WORK/plug.log" || fail "the script was told another kind"
