#!/bin/bash
# SPDX-License-Identifier: MIT
# Xen's own vif-bridge, unmodified, puts the network device of a card into its bridge, and fails with its own reason when there is no such bridge.
. "$(dirname "$0")/../../lib/ringctl.sh"
[ -x /etc/xen/scripts/vif-bridge ] || skip "there is no vif-bridge"
if [ -z "${RINGBACK_TEST_NET:-}" ]; then
    unshare --net --mount true 2>/dev/null || skip "there can be no network of its own"
    trap - EXIT
    RINGBACK_TEST_NET=1 exec unshare --net --mount "$0"
fi
mount -t tmpfs none /run # its locks
mount -t tmpfs none /sys 2>/dev/null && mount -t sysfs none /sys # of this network
ip link add br7 type bridge || skip "there are no bridges"

daemon_start
domain=$(simxen create)
ip tuntap add "vif$domain.0" mode tap || skip "there are no taps"
run 0 attach nic "$domain" bridge=br7,mtu=1400
says stdout "connected by /etc/xen/scripts/vif-bridge"
grep -q "vif$domain.0: .*UP" <<<"$(ip link show master br7)" || fail "the device is not in the bridge, or not up: $(ip link)"
grep -q "mtu 1400 .*" <<<"$(ip link show "vif$domain.0")" || fail "it has another MTU: $(ip link)"
expect "the guest's MTU" 1400 "$(node "/local/domain/$domain/device/vif/0/mtu")"
run 0 detach "$domain/vif0"
! grep -q vif <<<"$(ip link show master br7)" || fail "the device is still in the bridge"

run 1 attach nic "$domain" bridge=br9
says stderr "/etc/xen/scripts/vif-bridge online exited with status 1: "
says stderr "Could not find bridge device br9"
