# SPDX-License-Identifier: Apache-2.0
"""Lookups and a watch, compared with the peers."""

from . import peers
from .bench import at_least, at_most
from .ours import Database, Server

FRAMED = ("framed-16x32", "framed-16x1", "framed-1x1")
GRPC = ("grpc-16x32", "grpc-16x1", "grpc-1x1", "grpc-watch")


def run(bench, wanted):
    framed, grpc = ([row for row in rows if row in wanted] for rows in (FRAMED, GRPC))
    if not framed and not grpc:
        return
    database = Database(bench.system)
    database.fill()
    server = Server(bench.system, database)
    server.check()
    if framed:
        targets = [peers.ours_framed(server), *peers.start_framed(bench.system)]
        for row in framed:
            _lookups(bench, row, targets)
            _framed_row(bench, row, targets)
        _stop(bench, targets)
    if grpc:
        targets = [peers.ours_grpc(server), *peers.start_grpc(bench.system)]
        for row in grpc:
            if row == "grpc-watch":
                _watch(bench, targets)
            else:
                _lookups(bench, row, targets)
                _grpc_row(bench, row, targets)
        _stop(bench, targets)
    server.stop()
    database.stop()


def _stop(bench, targets):
    pids = {target.pid for target in targets if target.name != "ours"}
    for child in [child for child in bench.system.children if child.pid in pids]:
        bench.system.stop(child)


def _lookups(bench, row, targets):
    bench.say(row)
    connections, depth = row.split("-")[1].split("x")
    bench.compare(
        row, targets, lambda target: (*target.flags, "--connections", connections, "--depth", depth),
        is_awake=row.endswith("1x1"))


def _rate(bench, row, name):
    return f"{bench.median(row, name, 'per_second'):,.0f}/s"


def _cpu(bench, row, name):
    return f"{bench.median(row, name, 'cpu_per_100k'):.3f} s"


def _latency(bench, row, name):
    return f"{bench.median(row, name, 'p50_us'):.0f}, {bench.median(row, name, 'p99_us'):.0f} µs"


def _framed_row(bench, row, targets):
    def of(name, key):
        return bench.median(row, name, key)

    def peer_texts(text):
        return ", ".join(f"{target.name} {text(bench, row, target.name)}" for target in targets[1:])

    if row == "framed-16x32":
        rate, best = of("ours", "per_second"), max(of("Redis", "per_second"), of("memcached", "per_second"))
        bench.row(
            "framed, 16 connections × 32 deep", _rate(bench, row, "ours"), peer_texts(_rate),
            at_least(rate / best, 1.5, "the better peer"),
            at_least(rate / of("bare C", "per_second"), 0.7, "bare C"))
        text = ", ".join(f"{target.name} {_cpu(bench, row, target.name)}" for target in targets[1:])
        bench.row("… CPU for 100,000", _cpu(bench, row, "ours"), text)
    elif row == "framed-16x1":
        ratio = of("ours", "cpu_per_100k") / of("Redis", "cpu_per_100k")
        bench.row(
            "framed, 16 × 1, CPU for 100,000", _cpu(bench, row, "ours"), peer_texts(_cpu),
            at_most(ratio, 1, "Redis"))
    else:
        ratio = of("ours", "p50_us") / of("Redis", "p50_us")
        bench.row(
            "framed, 1 × 1, p50 and p99, cores kept awake", _latency(bench, row, "ours"), peer_texts(_latency),
            (f"p50 {ratio:.2f} × Redis", "≤ 1", ratio <= 1))


def _grpc_row(bench, row, targets):
    cpp = [target.name for target in targets if target.name.startswith("C++")]

    def ratio(key):
        return bench.median(row, "ours", key) / min(bench.median(row, name, key) for name in cpp)

    def texts(text):
        return ", ".join(f"{target.name} {text(bench, row, target.name)}" for target in targets[1:])

    if row == "grpc-1x1":
        p50, p99 = ratio("p50_us"), ratio("p99_us")
        bench.row(
            "gRPC, 1 × 1, p50 and p99, cores kept awake", _latency(bench, row, "ours"), texts(_latency),
            (f"p50 {p50:.2f}, p99 {p99:.2f} × best C++", "≤ 1", p50 <= 1 and p99 <= 1))
        return
    goal = 0.25 if row == "grpc-16x32" else 0.5
    bench.row(
        f"gRPC, {row.split('-')[1].replace('x', ' × ')}, CPU for 100,000", _cpu(bench, row, "ours"), texts(_cpu),
        at_most(ratio("cpu_per_100k"), goal, "best C++"))
    bench.row("… lookups a second", _rate(bench, row, "ours"), texts(_rate))


def _watch(bench, targets):
    row = "grpc-watch"
    bench.say(row)
    targets = [target for target in targets if target.watch_flags]
    bench.compare(row, targets, lambda target: target.watch_flags)
    ratio = bench.median(row, "ours", "cpu_per_100k") / bench.median(row, "Go", "cpu_per_100k")
    bench.row(
        "gRPC watch, CPU for 100,000 notices", _cpu(bench, row, "ours"),
        ", ".join(f"{target.name} {_cpu(bench, row, target.name)}" for target in targets[1:]),
        at_most(ratio, 1, "Go"))
