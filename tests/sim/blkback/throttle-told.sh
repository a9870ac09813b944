#!/bin/bash
# SPDX-License-Identifier: MIT
# ringctl throttle: what it writes, and what it says; what is wrong is refused and changes nothing. ringctl show tells the limits.
. "$(dirname "$0")/../../lib/blkback.sh"

# keys: what xenstore has, "KEY=VALUE" each.
keys() {
    local key
    for key in iops-total iops-total-max bps-total bps-total-max; do
        value=$(xenstore-read "/local/domain/0/backend/vbd/$domain/$XVDA/throttle/$key" 2>/dev/null) || continue
        echo -n "$key=$value "
    done
}

# throttle SAID KEYS ARGUMENT...
throttle() {
    local said=$1 wanted=$2
    shift 2
    expect "what is said of '$*'" "disk xvda (51712) of domain $domain: $said" "$(control throttle web/xvda "$@")"
    expect "xenstore after '$*'" "$wanted" "$(keys | xargs)"
}

# refused STATUS SAID ARGUMENT...
refused() {
    local wanted=$1 text=$2 status=0 before said
    shift 2
    before=$(keys)
    said=$(control throttle "$@" 2>&1) || status=$?
    expect "status of '$*'" "$wanted" "$status"
    [[ $said == *"$text"* ]] || fail "'$*' was refused, but not with '$text': $said"
    expect "xenstore after '$*'" "$before" "$(keys)"
}

daemon_start
domain=$(simxen create --name web)
disk_attach "$domain" xvda ram:16M
throttle "500 requests a second, bytes as configured" "iops-total=500" --iops=500
throttle "500 requests a second, 10485760 bytes a second (67108864 at once)" "iops-total=500 bps-total=10485760 bps-total-max=67108864" \
    --bandwidth 10M --bandwidth-burst 64M
throttle "800 requests a second (3000 at once), 10485760 bytes a second (67108864 at once)" \
    "iops-total=800 iops-total-max=3000 bps-total=10485760 bps-total-max=67108864" --iops=800 --iops-burst=3000
wait_until "$LIMIT_DAEMON" "the daemon to follow" disk_is "$domain/xvda" '.throttle.iops_total_max == 3000' true
shown=$(control show "web/xvda")
for line in "requests/s      800" "at once         3000" "bytes/s         10M (10485760 bytes)" "at once         64M (67108864 bytes)" "waits           0"; do
    [[ $shown == *"$line"* ]] || fail "ringctl show does not tell '$line': $shown"
done
throttle "any number of requests, 500 bytes a second" "iops-total=0 bps-total=500" --iops=none --bandwidth=500
expect "JSON" '{"domid":'"$domain"',"devid":51712,"name":"xvda","throttle":{"iops_total":20,"iops_total_max":40,"bps_total":500,"bps_total_max":null}}' \
    "$(control throttle --json "$domain/xvda" --iops=20 --iops-burst=40 | jq -c .)"
throttle "20 requests a second (40 at once), bytes as configured" "iops-total=20 iops-total-max=40" --bandwidth=default
refused 2 "--iops: '0' is too small or too large" web/xvda --iops=0
refused 2 "--iops: '5K' is no number" web/xvda --iops=5K
refused 2 "--bandwidth: '10Mb/s' is no number of bytes" web/xvda --bandwidth=10Mb/s
refused 2 "--iops-burst needs a number for --iops" web/xvda --iops-burst=7
refused 2 "--bandwidth-burst needs a number for --bandwidth" web/xvda --bandwidth=none --bandwidth-burst=1M
refused 2 "'none' is said of both limits" web/xvda none --iops=7
refused 2 "'slow' is neither none nor default" web/xvda slow
refused 2 "which limit?" web/xvda
refused 2 "'web/vif0' is a network card" web/vif0 --iops=7
refused 4 "has no disk xvdc" web/xvdc --iops=7
throttle "any number of requests, any number of bytes" "iops-total=0 bps-total=0" none
wait_until "$LIMIT_DAEMON" "the daemon to follow" disk_is "$domain/xvda" .throttle.bps_total null
shown=$(control show "web/xvda")
[[ $shown == *"requests/s      -"*"bytes/s         -"* ]] || fail "ringctl show tells limits: $shown"
throttle "requests as configured, bytes as configured" "" default
