# SPDX-License-Identifier: Apache-2.0
"""The cost of large numbers: 100,000 documents, thousands of idle subscribers, a second thread."""

import json
import subprocess
import time

from . import build, data
from .bench import at_least, at_most
from .changes import paced
from .ours import Database, Server
from .peers import ours_framed
from .system import SERVER_CORE, Noise, poll, processor_seconds, resident_bytes, wait_until_quiet

ROWS = ("warm-up", "memory", "reload", "idle-memory", "threads")
DOCUMENTS = 100_000
QUICK_DOCUMENTS = 20_000
MIB = 1 << 20


def run(bench, wanted):
    if {"warm-up", "memory", "reload"} & set(wanted):
        _documents(bench, wanted)
    database = Database(bench.system)
    database.fill()
    if "idle-memory" in wanted:
        _idle_memory(bench, database)
    if "threads" in wanted:
        _threads(bench, database)
    database.stop()


def _documents(bench, wanted):
    count = QUICK_DOCUMENTS if bench.is_quick else DOCUMENTS
    database = Database(bench.system, "--oplog-max-entries", 100)
    bench.say(f"filling {count:,} documents")
    database.fill(count, digits=6)
    database.forget_history()
    server = _warm_up(bench, database, 1 if bench.is_quick else bench.rounds)
    if "warm-up" in wanted:
        ratio = bench.median("warm-up", "ours", "seconds") / bench.median("warm-up", "bare libmongoc", "seconds")
        bench.row(
            f"warm-up, {count:,} documents of 2 KiB", f"{bench.median('warm-up', 'ours', 'seconds'):.2f} s",
            f"bare libmongoc {bench.median('warm-up', 'bare libmongoc', 'seconds'):.2f} s",
            at_most(ratio, 1.5, "bare libmongoc"))
    if "memory" in wanted:
        _memory(bench, server, count)
    if "reload" in wanted:
        _reload(bench, database, server, count)
    server.stop()
    database.stop()


def _warm_up(bench, database, rounds):
    """Measures a bare loop and the start of a server, alternately. Returns the last server."""
    row, server = "warm-up", None
    bench.say(row)
    for number in range(rounds):
        if server:
            server.stop()
        wait_until_quiet(2)
        noise = Noise([database.pid])
        bare = bench.system.run([build.FOLDER / "documents", database.uri, "read"], SERVER_CORE, seconds=300)
        bench.record(row, "bare libmongoc", {"round": number, **json.loads(bare), "noise": noise.end()})
        start = time.monotonic()
        server = Server(bench.system, database, wait=False)
        noise = Noise([database.pid, server.pid])
        server.wait_until_ready()
        took = time.monotonic() - start
        bench.record(row, "ours", {
            "round": number, "seconds": took, "cpu_seconds": processor_seconds(server.pid), "noise": noise.end()})
    return server


def _memory(bench, server, count):
    # Field 1 of a reply is the config.
    encoded = len(data.find_field(server.ask("agent-%06d" % (count // 2)), 1))
    resident, limit = resident_bytes(server.pid), 1.5 * encoded * count + 64 * MIB
    bench.record("memory", "ours", {"resident": resident, "encoded": encoded * count})
    bench.row(
        f"memory at {count:,} documents", f"{resident / MIB:.0f} MiB",
        f"{encoded * count / MIB:.0f} MiB encoded; at most meanwhile {resident_bytes(server.pid, 'VmHWM') / MIB:.0f}",
        (f"{resident / limit:.2f} × the bound", f"≤ {limit / MIB:.0f} MiB", resident <= limit))


def _reload(bench, database, server, count):
    row = "reload"
    bench.say(row)
    for number in range(1 if bench.is_quick else min(bench.rounds, 2)):
        quiet, _ = paced(bench, database, server, 2)
        bench.record(row, "quiet", {"round": number, **quiet})
        before = server.health()["loaded_at"]
        start = time.monotonic()

        def reload():
            server.reload()
            poll("the reload is over", lambda: server.health()["loaded_at"] != before, 120)
            return time.monotonic() - start

        # The load runs for the duration of the warm-up, because a reload reads the same documents.
        seconds = max(1, bench.median("warm-up", "ours", "seconds"))
        busy, took = paced(bench, database, server, seconds, reload)
        bench.record(row, "reloading", {"round": number, **busy, "reload_seconds": took})
    ratio = bench.median(row, "reloading", "p99_us") / bench.median(row, "quiet", "p99_us")
    bench.row(
        f"lookups during a full reload of {count:,}, p50 and p99",
        f"{bench.median(row, 'reloading', 'p50_us'):.0f}, {bench.median(row, 'reloading', 'p99_us'):.0f} µs",
        f"quiet {bench.median(row, 'quiet', 'p50_us'):.0f}, {bench.median(row, 'quiet', 'p99_us'):.0f} µs; it took"
        f" {bench.median(row, 'reloading', 'reload_seconds'):.1f} s",
        at_most(ratio, 1.5, "quiet p99"))


def open_subscribers(bench, server, count, protocol):
    """Starts a process with `count` idle subscribers, and waits until all watches are open."""
    child = bench.system.start(
        [build.FOLDER / "notices", "--port", server.port, "--request", bench.system.folder / f"subscribe-{protocol}",
         "--subscribers", count, "--http2", int(protocol == "http2"), "--changes", 0],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    if child.stdout.readline().strip() != "ready":
        raise OSError(f"{count} subscribers cannot be opened")
    return child


def _idle_memory(bench, database):
    row, count = "idle-memory", 1000 if bench.is_quick else 5000
    for protocol, name, limit in (("framed", "framed", 16), ("http2", "gRPC", 32)):
        bench.say(f"{row}: {name}")
        server = Server(bench.system, database)
        # The first subscribers make the server allocate memory that all of them share, which must not count.
        first = open_subscribers(bench, server, 50, protocol)
        before = resident_bytes(server.pid)
        crowd = open_subscribers(bench, server, count, protocol)
        each = (resident_bytes(server.pid) - before) / count
        bench.record(row, name, {"subscribers": count, "bytes_each": each})
        bench.system.stop(crowd)
        bench.system.stop(first)
        server.stop()
        bench.row(
            f"memory for an idle subscriber, {name}", f"{each / 1024:.1f} KiB", "",
            (f"{each / 1024:.1f} KiB", f"≤ {limit} KiB", each <= limit * 1024))


def _threads(bench, database):
    """Measures servers with one thread and with two. Servers and load use both cores."""
    servers = [Server(bench.system, database, threads=threads, core=None) for threads in (1, 2)]
    targets = [ours_framed(server) for server in servers]
    targets[0].name, targets[1].name = "one thread", "two threads"
    for depth in (1, 32):
        row = f"threads-16x{depth}"
        bench.say(row)
        bench.compare(
            row, targets, lambda target: (*target.flags, "--connections", 16, "--depth", depth), core=None)
        one, two = (bench.median(row, target.name, "per_second") for target in targets)
        bench.row(
            f"two server threads on two cores, framed, 16 × {depth}", f"{two:,.0f}/s", f"one thread {one:,.0f}/s",
            at_least(two / one, 1, "one thread"))
    for server in servers:
        server.stop()
