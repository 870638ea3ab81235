"""What changes cost: lookups meanwhile, and how soon subscribers know."""

import json
import os
import signal
import subprocess

from . import build
from .bench import at_most
from .ours import Database, Server
from .peers import ours_framed
from .system import LOAD_CORE, BenchError, Noise, processor_seconds, wait_until_quiet

ROWS = ("lookups-while-changing", "notice", "fan-out")
# Lookups a second while something else is measured: enough for a p99, few enough to leave the core to the database.
PACE = ("--rate", 2000)
CHANGES_PER_SECOND = 1000
SUBSCRIBERS = 10_000


def run(bench, wanted):
    database = Database(bench.system)
    database.fill()
    server = Server(bench.system, database)
    if "lookups-while-changing" in wanted:
        _while_changing(bench, database, server)
    if "notice" in wanted:
        _notice(bench, database, server)
    if "fan-out" in wanted:
        fan_out(bench, database, server, SUBSCRIBERS, "fan-out")
        _fan_out_row(bench)
    server.stop()
    database.stop()


def paced(bench, database, server, seconds, meanwhile=lambda: None):
    """Lookups at a pace for so long, and what `meanwhile` gives, which is called when they have begun.

    The load goes before the database on their core: what is measured is the server.
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
    command = [
        build.FOLDER / "notices", "--port", server.port, "--request", bench.system.folder / "subscribe-framed",
        "--mongodb", database.uri, "--bytes", database.padding(), *flags]
    wait_until_quiet(2)
    noise = Noise([server.pid, database.pid])
    child = bench.system.start(command, LOAD_CORE, stdout=subprocess.PIPE, text=True)
    if child.stdout.readline().strip() != "ready":
        raise BenchError("the watches cannot be opened")
    before = processor_seconds(server.pid)
    output, _ = child.communicate(timeout=300)
    used = processor_seconds(server.pid) - before
    bench.system.stop(child)
    if child.returncode:
        raise BenchError(f"notices: {child.returncode}: {bench.system.last_lines('log')}")
    result = json.loads(output.splitlines()[-1])
    return {**result, "server_ms_each": 1000 * used / result["changes"], "noise": noise.end()}


def _notice(bench, database, server):
    row = "notice"
    bench.say(row)
    for number in range(bench.rounds):
        # One after the other: the database, which is Python, serves two watchers of a change in turn, and the second one
        # would wait for the first. So for the bare one the server stands still.
        changes = ("--changes", 100 if bench.is_quick else 300, "--rate", 50)
        bench.record(row, "ours", {"round": number, **_notices(bench, database, server, *changes)})
        os.kill(server.pid, signal.SIGSTOP)
        try:
            bare = _notices(bench, database, server, *changes, "--subscribers", 0, "--bare", 1)
        finally:
            os.kill(server.pid, signal.SIGCONT)
        bench.record(row, "bare", {"round": number, **bare})
    p50, p99 = (
        bench.median(row, "ours", f"notice_{part}_ms") - bench.median(row, "bare", f"bare_{part}_ms")
        for part in ("p50", "p99"))
    bench.row(
        "write acknowledged to notice received, p50 and p99",
        f"{bench.median(row, 'ours', 'notice_p50_ms'):.2f}, {bench.median(row, 'ours', 'notice_p99_ms'):.2f} ms",
        f"bare watcher {bench.median(row, 'bare', 'bare_p50_ms'):.2f},"
        f" {bench.median(row, 'bare', 'bare_p99_ms'):.2f} ms",
        (f"{p50:+.2f}, {p99:+.2f} ms", "≤ 1, 2 ms more", p50 <= 1 and p99 <= 2))


def fan_out(bench, database, server, subscribers, row):
    bench.say(f"{row}: {subscribers} subscribers")
    result = _notices(
        bench, database, server, "--subscribers", subscribers, "--changes", 5 if bench.is_quick else 20, "--rate", 5)
    bench.record(row, "ours", result)


def _fan_out_row(bench):
    p50, most = (bench.median("fan-out", "ours", f"notice_{part}_ms") for part in ("p50", "max"))
    bench.row(
        f"one change to {SUBSCRIBERS:,} subscribers: the last one has it",
        f"p50 {p50:.0f} ms, at most {most:.0f} ms; {bench.median('fan-out', 'ours', 'server_ms_each'):.0f} ms of CPU",
        "", (f"{p50:.0f} ms", "≤ 100 ms", p50 <= 100))
