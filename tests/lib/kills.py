#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills a supervisor and its workers at random moments, while guests use their disks, or their network cards.

usage: kills.py FAMILY RUN SEED KIND=COUNT...

FAMILY is blkback or netback, RUN the run directory. So many of each kind: `worker`; `supervisor`; `both` at once; of netback also `switch`,
which is tapbridged, and `all` three at once. Each guest's next kill is due at random; which kind it is, is drawn from those that are left. A
third of the workers of disks and a sixth of those of cards are killed from outside at whatever they do just then, the rest at a random one
of the next pieces of data that they copy (simxen fault): the worker of a RAM disk often has nothing to do, and then its death proves little.
One in six of the rest of those of cards dies when it is about to send an event instead: it has announced answers then. A worker is killed when
its guest has been served since the last time, so that guests get on; a supervisor whenever it answers. Somebody else starts the supervisor and
the switch again, as systemd does. Workers are looked up at the supervisor and known by pidfd: no process is killed that has only the number
of one.

A kill found requests in flight when the successor executed some again; of a network card also when the worker died where it copied, since
a frame for the guest is not sent again. When the supervisor was killed before that could be seen it does not count. Images grow while they
are written: told is how many kills had that before and after them.

The last line of the output is the sum. The status is 0 when at least half of the workers had requests in flight; where it is less, because
guests have little time on a busy machine, workers are killed until it is half, twice as many as were asked for at most.
"""
import collections
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import time

LIMIT = 60  # seconds until a guest that nothing is done for hangs
PAUSE = 0.25  # seconds between kills of a guest's worker, at most
LOOK = 0.002  # seconds from one look to the next
COPIES = 300  # pieces of data until an armed kill, at most
EVENTS = 10  # events until one, at most

# Which processes a kind of kill is of.
KINDS = {
    "worker": {"worker"},
    "supervisor": {"supervisor"},
    "both": {"worker", "supervisor"},
    "switch": {"switch"},
    "all": {"worker", "supervisor", "switch"},
}

BAD_DEATH = re.compile("exited|killed by signal (?!9 )|killed (because|for)")  # not by us


def fail(why):
    print(f"kills.py: {why}", file=sys.stderr)
    sys.exit(1)


def ask(path, what):
    """An answer of the supervisor; None when there is none."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(LIMIT)
            sock.connect(path)
            sock.sendall(f"GET {what} HTTP/1.0\r\n\r\n".encode())
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
        return json.loads(answer.partition(b"\r\n\r\n")[2])
    except TimeoutError:
        fail(f"the supervisor did not answer for {LIMIT} s")
    except (OSError, ValueError):
        return None


def program(pid):
    """The name of a process."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
            return comm.read().strip()
    except OSError:
        return None


class Process:
    """A process that is surely the program of that name."""

    def __init__(self, pid, name):
        self.pid = pid
        self.fd = os.pidfd_open(pid)
        if program(pid) != name:  # it has ended, and another one has its number
            self.close()
            raise ProcessLookupError

    def kill(self):
        signal.pidfd_send_signal(self.fd, signal.SIGKILL)

    def ended(self):
        return bool(select.select([self.fd], [], [], 0)[0])

    def close(self):
        os.close(self.fd)


class Disks:
    """What is particular to disks."""

    family = "blkback"
    outside = 1 / 3  # of workers
    faults = [("copy", COPIES)]
    copied_counts = False

    @staticmethod
    def served(disk):
        return sum(disk["requests"].values())

    @staticmethod
    def replayed(disk):
        return disk["replayed"]

    @staticmethod
    def size(disk):
        return image_size(disk["source"])


class Cards:
    """What is particular to network cards."""

    family = "netback"
    outside = 1 / 6
    faults = 5 * [("copy", COPIES)] + [("notify", EVENTS)]
    copied_counts = True

    @staticmethod
    def served(card):
        return sum(queue["tx"]["packets"] + queue["rx"]["packets"] for queue in card["queues"])

    @staticmethod
    def replayed(card):
        return sum(queue["tx"]["replayed"] for queue in card["queues"])

    @staticmethod
    def size(card):
        return 0


class Guest:
    """What is known of one guest and of the last kill of its worker."""

    def __init__(self, domid, devices):
        self.domid = domid
        self.devices = devices  # Disks or Cards
        self.worker = None  # pid
        self.served = self.replayed = self.size = 0
        self.killed = None  # the pid of a worker whose successor has not been seen
        self.clear = False  # nothing else was killed since
        self.copying = False  # it died where it copied
        self.replayed_before = self.served_before = 0
        self.size_before = 0
        self.grew = False  # between the kill before the last and the last
        self.since = time.monotonic()  # when something was last done for it
        self.next(self.since)

    def next(self, now):
        self.due = now + random.uniform(0, PAUSE)

    def look(self, found):
        found = [device for device in found if device["domid"] == self.domid and device["activity"] == "connected"]
        self.worker = found[0]["worker"]["pid"] if found else None
        if found:
            if BAD_DEATH.match(found[0]["worker"]["last_death"] or ""):
                fail(f"guest {self.domid}: a worker {found[0]['worker']['last_death']}")
            served = sum(map(self.devices.served, found))
            if served != self.served:
                self.since = time.monotonic()
            self.served = served
            self.replayed = sum(map(self.devices.replayed, found))
            self.size = sum(map(self.devices.size, found))


def image_size(source):
    kind, _, path = source.partition(":")
    try:
        return os.stat(path).st_size if kind == "vhd" else 0
    except OSError:
        return 0


class Daemon:
    """The supervisor, or the switch. There is always one, if somebody starts it again."""

    def __init__(self, run, name):
        self.name = name
        self.path = f"{run}/{name}.sock"
        self.process = None  # while it is known

    def kill(self):
        self.process.kill()
        self.process.close()
        self.process = None

    def look(self):
        """False while there is none."""
        if self.process is not None and self.process.ended():
            fail(f"{self.name} ended by itself")
        if self.process is None:
            status = ask(self.path, "/v1/status")
            try:
                self.process = Process(status["pid"], self.name) if status else None
            except ProcessLookupError:
                pass
        return self.process is not None


class Kills:
    def __init__(self, devices, run, left):
        self.devices = devices
        self.left = left
        self.most = 2 * sum(count for kind, count in left.items() if "worker" in KINDS[kind])
        self.done = collections.Counter()
        self.armed = collections.Counter()  # workers killed by the simulator, by what they did
        self.in_flight = self.unclear = self.growing = 0
        self.replaying = self.replays = 0
        self.guests = {}
        self.supervisor = Daemon(run, devices.family + "d")
        self.switch = Daemon(run, "tapbridged") if any("switch" in KINDS[kind] for kind in left) else None

    def kill_supervisor(self):
        self.supervisor.kill()
        for guest in self.guests.values():
            guest.clear = False

    def arm(self, guest):
        """Has the simulator kill the worker, mostly."""
        if random.random() < self.devices.outside:
            return False
        at, most = random.choice(self.devices.faults)
        subprocess.run(["simxen", "fault", str(guest.domid), f"{at}:kill@{random.randint(1, most)}"], check=True)
        self.armed[at] += 1
        guest.copying = at == "copy"
        return True

    def kill_worker(self, guest):
        """False when it is gone already, replaced by a new supervisor."""
        try:
            worker = Process(guest.worker, self.devices.family + "d-worker")
        except ProcessLookupError:
            return False
        try:
            worker.kill()
        except ProcessLookupError:
            return False
        finally:
            worker.close()
        return True

    def kill(self, guest, kind, now):
        killed = False
        supervisor_first = random.randrange(2) == 0
        if "switch" in KINDS[kind]:
            self.switch.kill()
        if "supervisor" in KINDS[kind] and (kind == "supervisor" or supervisor_first):
            self.kill_supervisor()
        if "worker" in KINDS[kind]:
            guest.copying = False
        if kind == "worker":
            killed = self.arm(guest) or self.kill_worker(guest)
        elif "worker" in KINDS[kind]:
            killed = self.kill_worker(guest)
            if not supervisor_first:
                self.kill_supervisor()
        if not killed and "worker" in KINDS[kind]:
            return
        if killed:
            guest.killed, guest.clear = guest.worker, True
            guest.replayed_before, guest.served_before = guest.replayed, guest.served
            grew = guest.size > guest.size_before
            self.growing += guest.grew and grew
            guest.grew, guest.size_before = grew, guest.size
        self.left[kind] -= 1
        self.done[kind] += 1
        guest.next(now)

    def see_successor(self, guest, now):
        """The guest is served by another worker than the one that was killed."""
        again = guest.replayed - guest.replayed_before
        self.replays += max(again, 0)
        self.replaying += again > 0
        if guest.copying and self.devices.copied_counts:
            self.in_flight += 1
        elif guest.clear:
            self.in_flight += again > 0
        else:
            self.unclear += 1
        guest.killed = None
        guest.next(now)

    def look(self):
        """Asks the supervisor for everything; False while there is none, or no switch."""
        if not self.supervisor.look() or (self.switch is not None and not self.switch.look()):
            return False
        report = ask(self.supervisor.path, "/v1/devices")
        if report is None:
            return False
        domids = {device["domid"] for device in report["devices"]}
        for domid in domids:
            self.guests.setdefault(domid, Guest(domid, self.devices)).look(report["devices"])
        for domid in set(self.guests) - domids:
            del self.guests[domid]
        return True

    def turn(self, guest, now):
        if guest.worker is None:
            return
        if guest.killed is not None and guest.worker != guest.killed:
            self.see_successor(guest, now)
        if now < guest.due or not any(self.left.values()):
            return
        kind = random.choices(list(self.left), self.left.values())[0]
        if "worker" not in KINDS[kind] or (guest.killed is None and guest.served != guest.served_before):
            self.kill(guest, kind, now)

    def workers(self):
        return sum(count for kind, count in self.done.items() if "worker" in KINDS[kind])

    def enough(self):
        return 2 * self.in_flight >= self.workers()

    def goes_on(self):
        """Until all are killed and their successors seen, and enough had requests in flight."""
        if any(self.left.values()) or any(guest.killed is not None for guest in self.guests.values()):
            return True
        if self.enough() or self.workers() >= self.most:
            return False
        self.left["worker"] += 1
        return True

    def run(self):
        answered = time.monotonic()
        while self.goes_on():
            now = time.monotonic()
            if self.look():
                answered = now
            elif now - answered > LIMIT:
                fail(f"no supervisor answered for {LIMIT} s")
            for guest in list(self.guests.values()):
                if self.supervisor.process is None or (self.switch is not None and self.switch.process is None):
                    break
                self.turn(guest, now)
                if now - guest.since > LIMIT:
                    fail(f"guest {guest.domid} was not served for {LIMIT} s")
            time.sleep(LOOK)

    def tell(self):
        kinds = ", ".join(f"{count} of {'a worker' if kind == 'worker' else kind}" for kind, count in self.done.items())
        armed = ", ".join(f"{count} at a {at}" for at, count in self.armed.items())
        print(
            f"{sum(self.done.values())} kills: {kinds}; of workers alone {armed}; "
            f"{self.in_flight} of {self.workers()} workers with requests in flight ({self.unclear} unclear); "
            f"{self.replays} requests executed again by {self.replaying} of their successors; {self.growing} while an image grew"
        )
        return self.enough()


def main():
    family, run, seed, *counts = sys.argv[1:]
    devices = {kind.family: kind for kind in (Disks, Cards)}[family]
    random.seed(int(seed))
    left = {kind: int(count) for kind, _, count in (count.partition("=") for count in counts)}
    kills = Kills(devices, run, left)
    try:
        kills.run()
    finally:
        good = kills.tell()
    if not good:
        fail("too few workers had requests in flight")


main()
