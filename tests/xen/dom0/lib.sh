# shellcheck shell=bash
# SPDX-License-Identifier: MIT
#
# What the cases are written with. A case is a bash script that sources this file; it fails by the first command that
# fails, or by "fail", and is judged by main, which also looks at what it leaves behind. $CASE is its directory.
set -eEuo pipefail
: "${CASE:?}"
. /bed/dom0/clean.sh

guest_memory=256
console_dir=/var/log/xen/console

guest_failure= # the last command that failed in a guest, and how
trap '[ -s "$CASE/reason" ] || echo "${guest_failure:-line $LINENO: $BASH_COMMAND: exit status $?}" >"$CASE/reason"' ERR

# fail TEXT...: the case has failed, for this reason.
fail() {
    echo "$*" >"$CASE/reason"
    exit 1
}

step() { echo "[$SECONDS s] $*"; }

# await WHAT LIMIT COMMAND...: until COMMAND succeeds, at most LIMIT seconds. On a busy machine, where COMMAND takes its time, it leaves twice as much to what is
# awaited.
await() {
    local what=$1 limit=$2 end=$((SECONDS + $2)) began pause
    shift 2
    echo "$what" >"$CASE/awaiting"
    began=${EPOCHREALTIME/[.,]/}
    until "$@"; do
        [ "$SECONDS" -lt "$end" ] || fail "awaited $what for $limit s"
        pause=$((2 * (${EPOCHREALTIME/[.,]/} - began)))
        pause=$((pause < 200000 ? 200000 : pause > 3000000 ? 3000000 : pause))
        printf -v pause '%d.%06d' $((pause / 1000000)) $((pause % 1000000))
        sleep "$pause"
        began=${EPOCHREALTIME/[.,]/}
    done
}

# refused COMMAND...: it must fail; what it says is left in $CASE/said.
refused() {
    if "$@" >"$CASE/said" 2>&1; then
        fail "was not refused: $*"
    fi
}

# --- Disks ------------------------------------------------------------------------------------------------------------

# disk DEV TARGET [ACCESS]: xl's words for one of our disks.
disk() {
    echo "format=raw,vdev=$1,access=${3:-rw},script=block-ringback,target=$2"
}

# vhd_new FILE SIZE [SUBFORMAT]: an empty VHD.
vhd_new() {
    qemu-img create -q -f vpc -o "subformat=${3:-dynamic},force_size=on" "$1" "$2"
}

raw_new() { truncate -s "$2" "$1"; }

# same_content A B: two images, raw or VHD by their name.
same_content() {
    local a=raw b=raw
    [[ $1 != *.vhd ]] || a=vpc
    [[ $2 != *.vhd ]] || b=vpc
    qemu-img compare -f "$a" -F "$b" "$1" "$2" || fail "$1 and $2 differ"
}

# vhd_sound FILE: others can open it.
vhd_sound() {
    qemu-img info -f vpc "$1" || fail "qemu-img cannot open $1"
    vhdiinfo "$1" || fail "vhdiinfo cannot open $1"
}

# disk_field DOM/DEV FIELD: what ringctl tells of a disk.
disk_field() { ringctl show --json "$1" | jq -r "$2"; }

# connected DOM/DEV...: each is served.
connected() {
    local disk
    for disk; do
        grep -q '"activity": "connected"' <<<"$(ringctl show --json "$disk")" || return 1
    done
}

# --- Guests -----------------------------------------------------------------------------------------------------------

# guest_config NAME pv|pvh DISK|NIC...: writes xl's configuration; $guest_append is added to the kernel's command line.
guest_config() {
    local name=$1 type=$2 disks='' nics=''
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
        mac=*) nics+="'$1'," ;;
        *) disks+="'$1'," ;;
        esac
        shift
    done
    cat >"$CASE/$name.cfg" <<END
name = "$name"
type = "$type"
kernel = "/srv/guest/vmlinux"
ramdisk = "/run/bed/initramfs"
extra = "console=hvc0 quiet mitigations=off ${guest_append:-}"
memory = $guest_memory
vcpus = ${guest_vcpus:-1}
on_crash = "destroy"
on_reboot = "${guest_on_reboot:-destroy}"
disk = [ $disks ]
vif = [ $nics ]
END
}

guest_log() { cat "$CASE/$1.console" 2>/dev/null || echo "$console_dir/guest-$1.log"; }

guest_boots() { grep -c '^agent ready' "$(guest_log "$1")" 2>/dev/null || true; }

booted_more_than() { [ "$(guest_boots "$1")" -gt "$2" ]; }

# guest_start NAME pv|pvh DISK|NIC...: creates a guest and waits until it takes commands.
guest_start() {
    guest_config "$@"
    step "create $*"
    xl create -q "$CASE/$1.cfg" || fail "xl create $1 failed"
    guest_ready "$1" 0
}

dead() { ! xenstore-exists "/local/domain/$1"; } # DOMID

booted_or_dead() { booted_more_than "$1" 0 || dead "$2"; }

# guest_ready NAME N: until the guest has booted more than N times.
guest_ready() {
    if [ "$2" -eq 0 ]; then
        await "guest $1 to boot" 300 booted_or_dead "$1" "$(guest_id "$1")"
        booted_more_than "$1" 0 || fail "guest $1 died before it had booted"
    else
        await "guest $1 to boot again" 300 booted_more_than "$1" "$2"
    fi
    step "guest $1 is up"
}

guest_id() { xl domid "$1"; }

answered() { grep -q "^$3 [0-9]*>" <<<"$(tail -c "+$2" "$(guest_log "$1")")"; }

answered_or_dead() { answered "$1" "$2" "$3" || dead "$4"; }

# guest NAME COMMAND: runs a command line in the guest; prints what it prints, returns its status.
# $guest_limit: how many seconds it may take.
guest() {
    local name=$1 id="$RANDOM$RANDOM" from tty log domid status=0
    log=$(guest_log "$name")
    domid=$(guest_id "$name")
    from=$(($(stat -c %s "$log") + 1))
    tty=$(xenstore-read "/local/domain/$domid/console/tty")
    step "$name: $2" >&2
    echo "$id $2" >"$tty"
    await "guest $name to finish: $2" "${guest_limit:-180}" answered_or_dead "$name" "$from" "$id" "$domid"
    answered "$name" "$from" "$id" || fail "guest $name died; it was to do: $2"
    tail -c "+$from" "$log" | awk -v id="$id" '
        $0 == "<" id { inside = 1; next }
        $1 == id && $2 ~ />$/ { exit int($2) }
        inside' || status=$?
    [ "$status" -eq 0 ] || guest_failure="guest $name: $2: exit status $status"
    return "$status"
}

# guest_refuses NAME COMMAND: it must fail in the guest.
guest_refuses() {
    if guest "$@"; then
        fail "did not fail in guest $1: $2"
    fi
    guest_failure=
}

# guest_background NAME TAG COMMAND; guest_join NAME TAG LIMIT: runs beside others; its end, output and status.
guest_background() { guest "$1" "$(in_background "$2" "$3")"; }

in_background() { echo "(sh -c '$2' >/run/$1.out 2>&1; echo \$? >/run/$1.status) &"; }

guest_join() {
    guest_limit=$3 guest "$1" "until [ -s /run/$2.status ]; do sleep 0.2; done; cat /run/$2.out; status=\$(cat /run/$2.status); rm /run/$2.status; exit \$status"
}

# guest_programs NAME: makes ready for programs that are front ends themselves; the guest was started with no-blkfront.
guest_programs() {
    guest "$1" "modprobe -a xen-gntalloc xen-evtchn xen-privcmd && modprobe xenfs && mount -t xenfs xenfs /proc/xen"
}

# guest_clean NAME: the guest's kernel has had nothing to complain about since it booted.
guest_clean() {
    local complaints
    guest "$1" "dmesg -r" >"$CASE/dmesg"
    complaints=$(grep '^<[0-4]>' "$CASE/dmesg" | grep -v 'clocksource\|hrtimer: interrupt took' || true)
    [ -z "$complaints" ] || fail "guest $1's kernel says: $complaints"
}

# backend_node: any.
backend_node() { [ -n "$(backend_nodes)" ]; }

gone() { ! xl domid "$1" >/dev/null 2>&1; }

# guest_stop NAME: its kernel must be content; then it powers off by itself.
guest_stop() {
    guest_clean "$1"
    xl shutdown "$1"
    await "guest $1 to power off" 120 gone "$1"
}

# guest_moved NAME: its console goes on in the log of the domain that received it.
guest_moved() {
    echo "$console_dir/guest-$1--incoming.log" >"$CASE/$1.console"
}

all_gone() { [ -z "$(leftovers)" ]; }

# fio_verify DEV DEPTH BLOCKS SIZE [ARGUMENT...]: fio's words for random reads and writes, each checked.
fio_verify() {
    local device=$1 depth=$2 blocks=$3 size=$4
    shift 4
    echo "fio --name=verify --filename=/dev/$device --ioengine=libaio --direct=1 --rw=randrw --iodepth=$depth" \
        "--bsrange=$blocks --size=$size --verify=crc32c --verify_fatal=1 --verify_backlog=64 --output-format=terse" \
        "--terse-version=3 $* >/run/fio.out 2>&1 || { cat /run/fio.out; exit 1; }"
}

. /bed/dom0/net.sh
