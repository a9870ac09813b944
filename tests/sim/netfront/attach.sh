#!/bin/bash
# SPDX-License-Identifier: MIT
# A vif is attached and detached as libxl does it: the nodes of both ends, their owners, the wait for exactly 2, the hotplug script's environment, and
# nothing left when nobody serves or the script fails.
. "$(dirname "$0")/../../lib/netfront.sh"
# nodes DIR: its keys and values, sorted, what the two ends write themselves left out.
nodes() {
    xenstore-ls "$1" | grep -vE '^(feature-|multi-queue-max|ringback-|error)' | LC_ALL=C sort
}
front() {
    echo "/local/domain/$domain/device/vif/$1"
}
back() {
    echo "/local/domain/0/backend/vif/$domain/$1"
}

reflector_start
domain=$(simxen create)
simxen vif-attach "$domain" 3 --mac 00:16:3e:01:02:03 --ip 10.0.0.9 --bridge br7 --script /x/vif-route --rate 1000,50000 --mtu 9000 \
    --vifname tap9 --gatewaydev eth0
expect "the front end's nodes" "backend = \"$(back 3)\"
backend-id = \"0\"
handle = \"3\"
mac = \"00:16:3e:01:02:03\"
mtu = \"9000\"
state = \"1\"
trusted = \"1\"" "$(nodes "$(front 3)")"
expect "the back end's nodes" "bridge = \"br7\"
frontend = \"$(front 3)\"
frontend-id = \"$domain\"
gatewaydev = \"eth0\"
handle = \"3\"
hotplug-status = \"connected\"
ip = \"10.0.0.9\"
mac = \"00:16:3e:01:02:03\"
mtu = \"9000\"
online = \"1\"
rate = \"1000,50000\"
script = \"/x/vif-route\"
state = \"2\"
type = \"vif\"
vifname = \"tap9\"" "$(nodes "$(back 3)")"
expect "the front end's owner" "n$domain,r0" "$(xenstore-ls -p "$(front 3)" | sed -n 's/^mac .*(\(.*\))$/\1/p')"
expect "the back end's owner" "n0,r$domain" "$(xenstore-ls -p "$(back 3)" | sed -n 's/^mac .*(\(.*\))$/\1/p')"
if simxen vif-attach "$domain" 3 2>/dev/null; then fail "attached twice"; fi
net "$domain" frames --count 20 3
simxen vif-detach "$domain" 3
if xenstore-exists "$(front 3)" || xenstore-exists "$(back 3)"; then fail "nodes are left"; fi
if simxen vif-detach "$domain" 3 2>/dev/null; then fail "detached twice"; fi

cat >"$WORK/script" <<'END'
#!/bin/sh
echo "$1 $2 $XENBUS_PATH $XENBUS_TYPE $XENBUS_BASE_PATH $script $vif $netdev $(xenstore-read "$XENBUS_PATH/state")" >>"$SCRIPT_LOG"
[ "$1" = offline ] || xenstore-write "$XENBUS_PATH/hotplug-status" connected
END
chmod +x "$WORK/script"
export SCRIPT_LOG=$WORK/script.said
simxen vif-attach "$domain" 0 --hotplug "$WORK/script" --hotplug-delay 50 --vifname tap9 --gatewaydev eth0
net "$domain" frames --count 20 0
simxen vif-detach "$domain" 0 --hotplug "$WORK/script" --vifname tap9 --gatewaydev eth0
said="backend/vif/$domain/0 vif backend /etc/xen/scripts/vif-bridge vif$domain.0 eth0" # it is the script that renames to vifname
expect "what the script was told" "online type_if=vif $said 2
offline type_if=vif $said 6" "$(cat "$SCRIPT_LOG")"

if simxen vif-attach "$domain" 1 --hotplug false 2>/dev/null; then fail "attached without its script"; fi
reflector_stop
if simxen vif-attach "$domain" 2 --wait 1 2>/dev/null; then fail "attached without a back end"; fi
expect "devices that are left" "" "$(xenstore-list "/local/domain/$domain/device/vif")"
