#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills a supervisor and its workers at random moments, while guests use their disks.

usage: kills.py SOCKET WORKERS SUPERVISORS BOTH SEED

So many of each: a worker, the supervisor, and both at once. Each guest's next kill is due at random; which kind it is, is drawn from those
that are left. A third of the workers are killed from outside at whatever they do just then, the rest at a random one of the next pieces
of data that they copy (simxen fault): the worker of a RAM disk often has nothing to do, and then its death proves little. A worker is killed when its guest has been answered since the last time, so that guests get on; a supervisor whenever it
answers. Somebody else starts the supervisor again, as systemd does. Workers are looked up at the supervisor at SOCKET and known by pidfd:
no process is killed that has only the number of one.

A kill found requests in flight when the successor executed some again. When the supervisor was killed before that could be seen it does
not count. Images grow while they are written: told is how many kills had that before and after them.

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


class Guest:
    """What is known of one guest and of the last kill of its worker."""

    def __init__(self, domid):
        self.domid = domid
        self.worker = None  # pid
        self.served = self.replayed = self.size = 0
        self.killed = None  # the pid of a worker whose successor has not been seen
        self.clear = False  # nothing else was killed since
        self.replayed_before = self.served_before = 0
        self.size_before = 0
        self.grew = False  # between the kill before the last and the last
        self.since = time.monotonic()  # when something was last done for it
        self.next(self.since)

    def next(self, now):
        self.due = now + random.uniform(0, PAUSE)

    def look(self, disks):
        disks = [disk for disk in disks if disk["domid"] == self.domid and disk["activity"] == "connected"]
        self.worker = disks[0]["worker"]["pid"] if disks else None
        if disks:
            if BAD_DEATH.match(disks[0]["worker"]["last_death"] or ""):
                fail(f"guest {self.domid}: a worker {disks[0]['worker']['last_death']}")
            served = sum(sum(disk["requests"].values()) for disk in disks)
            if served != self.served:
                self.since = time.monotonic()
            self.served = served
            self.replayed = sum(disk["replayed"] for disk in disks)
            self.size = sum(image_size(disk["source"]) for disk in disks)


def image_size(source):
    kind, _, path = source.partition(":")
    try:
        return os.stat(path).st_size if kind == "vhd" else 0
    except OSError:
        return 0


class Kills:
    def __init__(self, path, left):
        self.path = path
        self.left = left
        self.most = 2 * (left["worker"] + left["both"])
        self.done = collections.Counter()
        self.copies = 0  # workers killed while they copied
        self.in_flight = self.unclear = self.growing = 0
        self.replays = 0
        self.guests = {}
        self.supervisor = None  # its Process

    def kill_supervisor(self):
        self.supervisor.kill()
        self.supervisor.close()
        self.supervisor = None
        for guest in self.guests.values():
            guest.clear = False

    def kill_at_copy(self, guest):
        """Arms the simulator, two times out of three."""
        if random.randrange(3) == 0:
            return False
        rule = f"copy:kill@{random.randint(1, COPIES)}"
        subprocess.run(["simxen", "fault", str(guest.domid), rule], check=True)
        self.copies += 1
        return True

    def kill_worker(self, guest):
        """False when it is gone already, replaced by a new supervisor."""
        try:
            worker = Process(guest.worker, "blkbackd-worker")
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
        if kind != "worker" and (kind == "supervisor" or supervisor_first):
            self.kill_supervisor()
        if kind == "both":
            killed = self.kill_worker(guest)
        elif kind == "worker":
            killed = self.kill_at_copy(guest) or self.kill_worker(guest)
        if kind == "both" and not supervisor_first:
            self.kill_supervisor()
        if not killed and kind != "supervisor":
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
        if guest.clear:
            self.in_flight += again > 0
        else:
            self.unclear += 1
        guest.killed = None
        guest.next(now)

    def look(self):
        """Asks the supervisor for everything; False while there is none."""
        if self.supervisor is None:
            status = ask(self.path, "/v1/status")
            try:
                self.supervisor = Process(status["pid"], "blkbackd") if status else None
            except ProcessLookupError:
                pass
        report = ask(self.path, "/v1/devices") if self.supervisor is not None else None
        if report is None:
            if self.supervisor is not None and self.supervisor.ended():
                fail("the supervisor ended by itself")
            return False
        domids = {disk["domid"] for disk in report["devices"]}
        for domid in domids:
            self.guests.setdefault(domid, Guest(domid)).look(report["devices"])
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
        if kind == "supervisor" or (guest.killed is None and guest.served != guest.served_before):
            self.kill(guest, kind, now)

    def workers(self):
        return self.done["worker"] + self.done["both"]

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
                if self.supervisor is None:
                    break
                self.turn(guest, now)
                if now - guest.since > LIMIT:
                    fail(f"guest {guest.domid} was not served for {LIMIT} s")
            time.sleep(LOOK)

    def tell(self):
        print(
            f"{sum(self.done.values())} kills: {self.done['worker']} of a worker ({self.copies} while it copied), {self.done['supervisor']} of the supervisor, "
            f"{self.done['both']} of both; {self.in_flight} of {self.workers()} workers with requests in flight ({self.unclear} unclear); "
            f"{self.replays} requests executed again; {self.growing} while an image grew"
        )
        return self.enough()


def main():
    path, *numbers = sys.argv[1:]
    workers, supervisors, both, seed = map(int, numbers)
    random.seed(seed)
    kills = Kills(path, {"worker": workers, "supervisor": supervisors, "both": both})
    try:
        kills.run()
    finally:
        good = kills.tell()
    if not good:
        fail("too few workers had requests in flight")


main()
