# SPDX-License-Identifier: Apache-2.0
"""The cost of changes: the latency of lookups meanwhile, and the delay until subscribers receive notices."""

import json
import subprocess

from . import build, data
from .bench import at_most
from .ours import Database, Server
from .peers import ours_framed
from .system import LOAD_CORE, SERVER_CORE, BenchError, Noise, processor_seconds, wait_until_quiet

ROWS = ("lookups-while-changing", "notice", "fan-out")
# The rate of lookups per second while something else is measured: high enough for a p99, and low enough that the
# database can use most of the core.
PACE = ("--rate", 2000)
CHANGES_PER_SECOND = 1000
SUBSCRIBERS = 10_000
NOTICE_BYTES = 160  # The size of this server's notice with its frame.


def run(bench, wanted):
    database = Database(bench.system)
    database.fill()
    if "notice" in wanted:
        _notice(bench, database)
    server = Server(bench.system, database)
    if "lookups-while-changing" in wanted:
        _while_changing(bench, database, server)
    if "fan-out" in wanted:
        fan_out(bench, database, server, SUBSCRIBERS, "fan-out")
        _fan_out_floor(bench)
        _fan_out_row(bench)
    server.stop()
    database.stop()


def paced(bench, database, server, seconds, meanwhile=lambda: None):
    """Makes lookups at the rate of PACE for `seconds`, and calls `meanwhile`. Returns the results of both.

    The load has priority over the database on their core, because the server is to be measured.
    """
    target = ours_framed(server)
    with bench.awake() as spinners:
        noise = Noise([server.pid, database.pid, *(spinner.pid for spinner in spinners)])
        load = bench.system.start(
            [*bench.load_command(target, (*target.flags, *PACE)), "--seconds", seconds, "--warmup", 0.3],
            LOAD_CORE, is_first=True, stdout=subprocess.PIPE, text=True)
        value = meanwhile()
        output, _ = load.communicate(timeout=seconds + 60)
        bench.system.stop(load)
        return {**json.loads(output), "noise": noise.end()}, value


def _while_changing(bench, database, server):
    row = "lookups-while-changing"
    bench.say(row)
    seconds = 2 if bench.is_quick else 5
    for number in range(bench.rounds):
        quiet, _ = paced(bench, database, server, seconds)
        bench.record(row, "quiet", {"round": number, **quiet})

        def change():
            command = [build.FOLDER / "documents", database.uri, "change", CHANGES_PER_SECOND, seconds + 0.5]
            return json.loads(bench.system.run(command).splitlines()[-1])

        busy, changes = paced(bench, database, server, seconds, change)
        bench.record(
            row, "changing",
            {"round": number, **busy, "changes_per_second": changes["per_second"]})
    ratio = bench.median(row, "changing", "p99_us") / bench.median(row, "quiet", "p99_us")
    reached = bench.median(row, "changing", "changes_per_second")
    bench.row(
        "lookups while 1,000 documents a second change, p50 and p99",
        f"{bench.median(row, 'changing', 'p50_us'):.0f}, {bench.median(row, 'changing', 'p99_us'):.0f} µs",
        f"quiet {bench.median(row, 'quiet', 'p50_us'):.0f}, {bench.median(row, 'quiet', 'p99_us'):.0f} µs;"
        f" the database wrote {reached:,.0f} a second",
        at_most(ratio, 1.5, "quiet p99"))


def _notices(bench, database, server, *flags):
    """Measures the delay of notices. Without a server, only the bare change stream is measured."""
    command = [
        build.FOLDER / "notices", "--port", server.port if server else 1, "--request",
        bench.system.folder / "subscribe-framed", "--mongodb", database.uri, "--bytes", database.padding(), *flags]
    wait_until_quiet(2)
    noise = Noise([database.pid, *([server.pid] if server else [])])
    child = bench.system.start(command, LOAD_CORE, stdout=subprocess.PIPE, text=True)
    if child.stdout.readline().strip() != "ready":
        raise BenchError("the watches cannot be opened")
    before = processor_seconds(server.pid) if server else 0
    output, _ = child.communicate(timeout=300)
    used = processor_seconds(server.pid) - before if server else 0
    bench.system.stop(child)
    if child.returncode:
        raise BenchError(f"notices: {child.returncode}: {bench.system.last_lines('log')}")
    result = json.loads(output.splitlines()[-1])
    return {**result, "server_ms_each": 1000 * used / result["changes"], "noise": noise.end()}


def _notice(bench, database):
    row = "notice"
    bench.say(row)
    changes = ("--changes", 100 if bench.is_quick else 300, "--rate", 50)
    for number in range(bench.rounds):
        for name in ("images", "lookups"):
            database.keep_images(name == "images")
            server = Server(bench.system, database)
            # The first update shows the server whether the collection has post-images.
            database.agents.update_one({"_id": data.key(0).decode()}, {"$set": {"description": f"{name} {number}"}})
            bench.record(row, name, {"round": number, **_notices(bench, database, server, *changes)})
            server.stop()
        # The bare watcher does not run at the same time as the server: the database, which is written in Python, serves
        # two watchers of a change one after the other, and the second one would wait for the first.
        bare = _notices(bench, database, None, *changes, "--subscribers", 0, "--bare", 1)
        bench.record(row, "bare", {"round": number, **bare})
    for name, means in (("images", "images of documents kept, as is recommended"), ("lookups", "documents looked up")):
        p50, p99 = (bench.median(row, name, f"notice_{part}_ms") for part in ("p50", "p99"))
        bare_p50, bare_p99 = (bench.median(row, "bare", f"bare_{part}_ms") for part in ("p50", "p99"))
        bench.row(
            f"write acknowledged to notice received, {means}, p50 and p99", f"{p50:.2f}, {p99:.2f} ms",
            f"bare watcher that has documents looked up {bare_p50:.2f}, {bare_p99:.2f} ms",
            (f"{p50 - bare_p50:+.2f}, {p99 - bare_p99:+.2f} ms", "≤ 1, 2 ms more",
             p50 - bare_p50 <= 1 and p99 - bare_p99 <= 2))


def fan_out(bench, database, server, subscribers, row):
    bench.say(f"{row}: {subscribers} subscribers")
    result = _notices(
        bench, database, server, "--subscribers", subscribers, "--changes", 5 if bench.is_quick else 20, "--rate", 5)
    bench.record(row, "ours", result)


def _fan_out_floor(bench):
    """Measures the lower bound of the system: one send for each connection, and nothing else."""
    rounds = 5 if bench.is_quick else 20
    wait_until_quiet(2)
    noise = Noise([])
    output = bench.system.run(
        [build.FOLDER / "floor_fan_out", SUBSCRIBERS, NOTICE_BYTES, rounds, SERVER_CORE, LOAD_CORE], SERVER_CORE)
    bench.record("fan-out", "bare C", {**json.loads(output), "noise": noise.end()})


def _fan_out_row(bench):
    p50, most = (bench.median("fan-out", "ours", f"notice_{part}_ms") for part in ("p50", "max"))
    bench.row(
        f"one change to {SUBSCRIBERS:,} subscribers: the last one has it",
        f"p50 {p50:.0f} ms, at most {most:.0f} ms; {bench.median('fan-out', 'ours', 'server_ms_each'):.0f} ms of CPU",
        f"bare C that only sends {bench.median('fan-out', 'bare C', 'p50_ms'):.0f} ms, "
        f"{bench.median('fan-out', 'bare C', 'cpu_ms'):.0f} ms of CPU",
        (f"{p50:.0f} ms", "≤ 100 ms", p50 <= 100))
