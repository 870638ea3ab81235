# SPDX-License-Identifier: Apache-2.0
"""The state of the bench, which every measurement uses: the options, the runs so far, and the table of results."""

import contextlib
import json
import statistics
import time

from . import build
from .system import LOAD_CORE, QUIET, SERVER_CORE, BenchError, Noise, wait_until_quiet


class Bench:
    def __init__(self, options, system):
        self.system = system
        self.rounds, self.seconds, self.is_quick = options.rounds, options.seconds, options.quick
        # Until this time, disturbed runs are repeated.
        self._patience_end = time.monotonic() + (0 if options.quick else 300)
        # Every single run: its row, its target, and the measured values.
        self.runs = []
        # The rows of the table: see `row`.
        self.rows = []

    # Runs

    def record(self, row, target, result):
        self.runs.append({"row": row, "target": target, **result})

    def results(self, row, target, key):
        """Returns the values of the undisturbed runs; of all runs if every run was disturbed."""
        mine = [run for run in self.runs if run["row"] == row and run["target"] == target and key in run]
        return [run[key] for run in mine if run.get("noise", 0) < QUIET] or [run[key] for run in mine]

    def median(self, row, target, key):
        return statistics.median(self.results(row, target, key))

    def load(self, target, flags, is_awake=False, core=LOAD_CORE):
        """Runs `load` against a target. A run that other processes disturb is repeated, three runs at most."""
        best = None
        for _ in range(3):
            is_patient = time.monotonic() < self._patience_end
            wait_until_quiet(2 if is_patient else 0.3)
            with self.awake() if is_awake else contextlib.nullcontext([]) as spinners:
                noise = Noise([target.pid, *(spinner.pid for spinner in spinners)])
                output = self.system.run(
                    [*self.load_command(target, flags), "--seconds", self.seconds, "--warmup", 0.2], core)
                result = {**json.loads(output), "noise": noise.end()}
            if best is None or result["noise"] < best["noise"]:
                best = result
            if best["noise"] < QUIET or not is_patient:
                break
        return best

    def load_command(self, target, flags):
        flags = list(flags)
        place = flags.index("--requests") + 1
        flags[place] = self.system.folder / flags[place]
        return [build.FOLDER / "load", "--port", target.port, "--pid", target.pid, *flags]

    @contextlib.contextmanager
    def awake(self):
        """Keeps both cores from halting. Yields the processes that do it."""
        spinners = [
            self.system.start([build.FOLDER / "awake", 600, core], core) for core in (SERVER_CORE, LOAD_CORE)]
        try:
            yield spinners
        finally:
            for spinner in spinners:
                self.system.stop(spinner)

    def compare(self, row, targets, flags, is_awake=False, core=LOAD_CORE):
        """Runs all targets one after the other, in rounds, so that a slow minute of the machine affects all of them."""
        for number in range(self.rounds):
            for target in list(targets):
                try:
                    result = self.load(target, flags(target), is_awake, core)
                    self.record(row, target.name, {"round": number, **result})
                except BenchError as error:
                    if target.name == "ours":
                        raise
                    self.say(f"{row}: {target.name} is left out: {error}")
                    targets.remove(target)

    # The table

    def row(self, what, ours, peers="", *checks):
        """Adds and prints a row. A check is a tuple: a value of ours as text, its goal as text, whether it is met."""
        row = {"what": what, "ours": ours, "peers": peers, "checks": checks}
        self.rows.append(row)
        print(line(row), flush=True)

    def say(self, text):
        print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)


HEAD = "| what | ours | peers | ratio | goal | met |\n|---|---|---|---|---|---|"


def line(row):
    ratios, goals, met = ("; ".join(part) or "" for part in zip(*(
        (ratio, goal, "yes" if is_met else "**no**") for ratio, goal, is_met in row["checks"]))) if row["checks"] else (
            "", "", "")
    return f"| {row['what']} | {row['ours']} | {row['peers']} | {ratios} | {goals} | {met} |"


def at_least(ratio, goal, than):
    return f"{ratio:.2f} × {than}", f"≥ {goal:g}", ratio >= goal


def at_most(ratio, goal, than):
    return f"{ratio:.2f} × {than}", f"≤ {goal:g}", ratio <= goal
