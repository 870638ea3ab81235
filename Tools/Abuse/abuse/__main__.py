# SPDX-License-Identifier: Apache-2.0
"""Runs attacks, prints the cost of each, and fails if a cost exceeds the documented limit."""

import argparse
import concurrent.futures
import os
import pathlib
import resource
import sys
import threading
import time

from .attacks import ATTACKS, Scene
from .bench import MIB, OTHER_CPUS, Client, Database, Gauge, Server, poll

# Memory of the process, in MiB, that is not counted for any client: buffers and streams that each event loop keeps for
# reuse, memory that the C library has not returned to the system yet, and the replay buffer. See
# docs/reference/limits.md.
CONSTANT = 32
# The limit and the flags of a container with 512 MiB, as in deploy/kubernetes.
KUBERNETES = {"limit": 512 * MIB, "flags": ["--max-buffered-bytes", str(256 * MIB)]}


def arguments():
    parser = argparse.ArgumentParser(prog="script/abuse", description=__doc__)
    parser.add_argument("attacks", nargs="*", help="names of attacks; without one, all of them")
    parser.add_argument("--list", action="store_true", help="list the attacks")
    parser.add_argument("--server", default=".build/release/config-lookup-server", help="the program to attack")
    parser.add_argument("--seconds", type=float, default=5, help="duration of each attack in seconds (5)")
    parser.add_argument("--report", action="store_true", help="only report: exceeded limits do not fail the run")
    parser.add_argument(
        "--kubernetes", action="store_true", help="one server for all attacks, in a cgroup with 512 MiB (as root)")
    parser.add_argument("--slack-ms", type=float, default=2, help="a p99 up to this value never fails the run (2)")
    return parser.parse_args()


def ms(value):
    return f"{value:8.2f}"


HEADER = (
    f"{'attack':18} {'base':>5} {'peak':>5} {'left':>5} {'counted':>7}   {'quiet p50':>9} {'p99':>8} {'p50':>8} "
    f"{'p99':>8} {'longest':>8}")


def give_way():
    """Lowers the attacker's priority: real attackers run on other machines and use no processor time here."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def settled(server):
    """Waits until the resident memory has not changed by a MiB for three seconds, and returns it."""
    seen = []

    def is_steady():
        time.sleep(0.5)
        seen.append(server.resident)
        return len(seen) > 6 and max(seen[-7:]) - min(seen[-7:]) < MIB

    poll("the memory is steady", is_steady, 60)
    return seen[-1]


def run_one(attack, options, database, server, client):
    base = server.resident
    client.take()
    time.sleep(3)
    quiet = client.take()
    gauge = Gauge(server)
    scene = Scene(server, database, options.seconds)
    try:
        with concurrent.futures.ThreadPoolExecutor(1, initializer=give_way) as attacker:
            attacker.submit(attack.run, scene).result()
        waits = client.take()
    finally:
        gauge.stop()
        scene.close()
    problems = [note for note in scene.notes if note.startswith("FAILED")]
    if not server.is_running:
        return [f"{attack.name}: the server has ended with {server.process.poll()}"]
    if attack.metric and not server.saw(attack.metric, attack.line):
        problems.append(f"{attack.metric} or a log line with \"{attack.line}\" is missing")
    left = settled(server)
    allowed = 1.25 * (base + gauge.counted + CONSTANT * MIB)
    if gauge.resident > allowed:
        problems.append(f"{gauge.resident / MIB:.0f} MiB resident, {allowed / MIB:.0f} allowed")
    if waits[1] > max(2 * quiet[1], options.slack_ms):
        problems.append(f"p99 of another client {waits[1]:.2f} ms, {quiet[1]:.2f} ms before the attack")
    if waits[3]:
        problems.append(f"{waits[3]} lookups of another client failed")
    print(
        f"{attack.name:18} {base / MIB:5.0f} {gauge.resident / MIB:5.0f} {left / MIB:5.0f} {gauge.counted / MIB:7.1f}  "
        f" {quiet[0]:9.2f} {ms(quiet[1])} {ms(waits[0])} {ms(waits[1])} {ms(waits[2])}  {'; '.join(scene.notes)}",
        flush=True)
    return [f"{attack.name}: {problem}" for problem in problems]


def main():
    options = arguments()
    chosen = [attack for attack in ATTACKS if not options.attacks or attack.name in options.attacks]
    unknown = set(options.attacks) - {attack.name for attack in ATTACKS}
    if unknown:
        sys.exit(f"script/abuse: no such attack: {', '.join(sorted(unknown))}; --list lists them")
    if options.list:
        for attack in chosen:
            print(f"{attack.name:18} {attack.about}")
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, OTHER_CPUS)
    root = pathlib.Path(__file__).resolve().parents[3]
    flags, limit = (KUBERNETES["flags"], KUBERNETES["limit"]) if options.kubernetes else ([], None)
    database = Database(pathlib.Path(sys.prefix), root / "deploy" / "seed")
    problems, server, client = [], None, None
    try:
        print("memory in MiB, waits of another client in ms")
        print(HEADER, flush=True)
        for attack in chosen:
            if server is None:
                server = Server(options.server, database, flags, limit)
                client = Client(server.address)
                poll("the client looks up", lambda: client.take()[0] != float("inf"))
            problems += run_one(attack, options, database, server, client)
            if not options.kubernetes or not server.is_running:
                client.close()
                server.close()
                server = None
        if server:
            print(f"peak of the cgroup: {server.peak_of_group / MIB:.0f} of {limit / MIB:.0f} MiB")
    finally:
        if server:
            client.close()
            server.close()
        database.close()
    for problem in problems:
        print(f"script/abuse: {problem}", file=sys.stderr)
    if problems and not options.report:
        sys.exit(1)


if __name__ == "__main__":
    main()
