# SPDX-License-Identifier: Apache-2.0
"""The growth of costs with the number of connections, subscribers and keys."""

from . import build
from .changes import fan_out
from .ours import Database, Server
from .peers import ours_framed

ROWS = ("grow-keys", "grow-subscribers", "grow-connections")
KEYS = (100, 10_000, 1_000_000)
SUBSCRIBERS = (100, 1000, 10_000)
CONNECTIONS = (10, 1000, 10_000)


def run(bench, wanted):
    if "grow-keys" in wanted:
        _keys(bench)
    if not {"grow-subscribers", "grow-connections"} & set(wanted):
        return
    database = Database(bench.system)
    database.fill()
    server = Server(bench.system, database)
    if "grow-subscribers" in wanted:
        for count in SUBSCRIBERS:
            fan_out(bench, database, server, count, f"grow-subscribers-{count}")
        _series(bench, "one change to subscribers: the last one has it, p50", SUBSCRIBERS, lambda count: (
            f"{bench.median(f'grow-subscribers-{count}', 'ours', 'notice_p50_ms'):.1f} ms"))
    if "grow-connections" in wanted:
        target = ours_framed(server)
        for count in CONNECTIONS:
            bench.compare(
                f"grow-connections-{count}", [target],
                lambda target: (*target.flags, "--connections", count, "--depth", 1))
        _series(bench, "framed, 1 deep, by connections: a second; CPU for 100,000", CONNECTIONS, lambda count: (
            f"{bench.median(f'grow-connections-{count}', 'ours', 'per_second'):,.0f}/s"
            f" {bench.median(f'grow-connections-{count}', 'ours', 'cpu_per_100k'):.2f} s"))
    server.stop()
    database.stop()


def _series(bench, what, counts, text):
    bench.row(what, "; ".join(f"{count:,}: {text(count)}" for count in counts))


def _keys(bench):
    """Runs `parts` with an in-memory source, because a million documents are too many for this database."""
    bench.say("grow-keys: a million keys take one or two minutes")
    program = build.ROOT / ".build/release/parts"
    for count in KEYS:
        output = bench.system.run([program, "--grow", "--only", f"keys-{count}"], seconds=900)
        for line in output.splitlines():
            name, nanoseconds = line.split(",")[0], float(line.split(" keys", 1)[1].split()[0])
            bench.record(f"grow-keys: {name}", f"{count} keys", {"nanoseconds": nanoseconds})
    for name, what, text in (
            ("lookup: key to answer", "a key's answer, by keys", lambda ns: f"{ns:.0f} ns"),
            ("lookup: request to reply", "a request's reply, without transport, by keys", lambda ns: f"{ns:.0f} ns"),
            ("change: apply", "changes applied a second, by keys", lambda ns: f"{1e9 / ns:,.0f}/s")):
        _series(bench, what, KEYS, lambda count: text(
            bench.median(f"grow-keys: {name}", f"{count} keys", "nanoseconds")))
