# SPDX-License-Identifier: Apache-2.0
"""Measures the server and its peers, and prints a table."""

import argparse
import json
import pathlib
import sys
import time

from . import build, changes, data, growth, lookups, sizes, system
from .bench import HEAD, Bench, line

GROUPS = [(lookups.run, (*lookups.FRAMED, *lookups.GRPC)), (changes.run, changes.ROWS), (sizes.run, sizes.ROWS)]
GROWTH = (growth.run, growth.ROWS)
ROWS = [row for _, rows in [*GROUPS, GROWTH] for row in rows]


def options():
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__, epilog="Rows: " + ", ".join(ROWS))
    parser.add_argument("--quick", action="store_true", help="one short round of each row, in less than 3 minutes")
    parser.add_argument("--grow", action="store_true", help="measure the growth of costs instead; takes some minutes")
    parser.add_argument("--only", metavar="ROW,...", help="only these rows; a prefix selects all rows with it")
    parser.add_argument("--rounds", type=int, help="number of interleaved runs of each row (3; with --quick 1)")
    parser.add_argument("--seconds", type=float, help="duration of each run (1.2; with --quick 0.5)")
    parser.add_argument(
        "--json", type=pathlib.Path, help="file for all single runs; the table goes beside it (.build/bench/runs.json)")
    chosen = parser.parse_args()
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 3)
    chosen.seconds = chosen.seconds or (0.5 if chosen.quick else 1.2)
    chosen.json = chosen.json or build.FOLDER / "runs.json"
    offered = GROWTH[1] if chosen.grow else [row for _, rows in GROUPS for row in rows]
    chosen.rows = [
        row for row in (ROWS if chosen.only else offered)
        if any(row.startswith(word) for word in (chosen.only or "").split(","))]
    if not chosen.rows:
        parser.error(f"no row of {', '.join(ROWS)} begins with {chosen.only}")
    return chosen


def table(bench, machine):
    about = "; ".join(f"{name} {value}" for name, value in machine.items())
    return "\n".join([f"Machine: {about}.", "", HEAD, *map(line, bench.rows)])


def main():
    chosen = options()
    build.install()
    build.build()
    machine = {**system.description(), "versions": build.versions()}
    start = time.monotonic()
    processes = system.System()
    bench = Bench(chosen, processes)
    status = 0
    try:
        data.write(processes.folder)
        for run, rows in [*GROUPS, GROWTH]:
            wanted = [row for row in chosen.rows if row in rows]
            if not wanted:
                continue
            try:
                run(bench, wanted)
            except (system.BenchError, OSError) as error:
                bench.say(f"FAILED: {', '.join(wanted)}: {error}")
                status = 1
    except KeyboardInterrupt:
        status = 130
    finally:
        processes.close()
    noise = [run["noise"] for run in bench.runs if "noise" in run]
    machine["noise"] = f"{100 * max(noise, default=0):.0f} % of a core at worst"
    print(f"\n{table(bench, machine)}\n\n{time.monotonic() - start:.0f} s. Every run: {chosen.json}")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.with_suffix(".md").write_text(table(bench, machine) + "\n")
    chosen.json.write_text(json.dumps({"machine": machine, "rows": bench.rows, "runs": bench.runs}, indent=1))
    return status


sys.exit(main())
