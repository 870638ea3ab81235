# SPDX-License-Identifier: Apache-2.0
"""The server under attack, its database, and a well-behaved client whose waits are measured."""

import json
import multiprocessing
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

import pymongo

from .frames import connect, field, framed_call

MIB = 1 << 20
# The server runs on processors of its own; the attackers, the client and the database use the others. So the measured
# waits are waits in the server, not waits for a processor that an attacker uses. With one processor, all share it.
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPUS = CPUS[len(CPUS) // 2:]
OTHER_CPUS = CPUS[: len(CPUS) // 2] or CPUS
CGROUPS = pathlib.Path("/sys/fs/cgroup/memory")


def poll(what, holds, seconds=60):
    end = time.monotonic() + seconds
    while not (value := holds()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)
    return value


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Database:
    """A SecantusDB process with a folder of its own."""

    def __init__(self, venv, seed):
        self.folder = tempfile.mkdtemp(prefix="config-lookup-abuse-")
        self.port = free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}/"
        self.process = subprocess.Popen(
            [f"{venv}/bin/secantusd-py", "--port", str(self.port), "--storage-path", f"{self.folder}/data",
             "--sync-on-commit", "--noop-heartbeat-seconds", "1"],
            cwd=self.folder, env={**os.environ, "HOME": self.folder}, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.client = pymongo.MongoClient(self.uri, serverSelectionTimeoutMS=60_000)
        self.client.admin.command("ping")
        for name in ("agent_configs", "prompts"):
            documents = json.loads((seed / f"{name}.json").read_text())
            self.client["ai_model"][name].insert_many(documents)
        self.agents = self.client["ai_model"]["agent_configs"]
        self.model = self.agents.find_one({"agent_id": "disease-diagnosis", "status": "active"})

    def put(self, agent_id, text="x"):
        document = {k: v for k, v in self.model.items() if k != "_id"}
        document |= {"agent_id": agent_id, "id": f"{agent_id}:1.0.0", "version": "1.0.0", "description": text}
        self.agents.replace_one({"agent_id": agent_id}, document, upsert=True)

    def close(self):
        self.client.close()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """A server process. With `memory_limit`, it runs in a memory cgroup with that limit in bytes."""

    def __init__(self, binary, database, flags=(), memory_limit=None):
        self.lines = []
        self.group = None
        if memory_limit:
            self.group = CGROUPS / f"config-lookup-abuse-{os.getpid()}"
            self.group.mkdir()
            (self.group / "memory.limit_in_bytes").write_text(str(memory_limit))
        command = [
            str(binary), "--mongodb-uri", database.uri, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
            "--log-format", "json", "--threads", str(len(SERVER_CPUS)), *flags,
        ]
        group = self.group

        def enter():
            os.sched_setaffinity(0, SERVER_CPUS)
            if group:
                (group / "tasks").write_text(str(os.getpid()))

        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, preexec_fn=enter, env={**os.environ, "MONGOC_DISABLE_SHM": "1"})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        ready = poll("the server is ready", lambda: self._ready() or self.process.poll() is not None)
        if ready is True:
            raise AssertionError("the server has ended:\n" + "\n".join(self.lines[-10:]))
        self.address = self._address(ready["listen"])
        self.http = self._address(ready["http_listen"])
        self.base = self.resident

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    def _ready(self):
        return next((json.loads(line) for line in self.lines if '"event":"ready"' in line), None)

    @staticmethod
    def _address(text):
        host, port = text.rsplit(":", 1)
        return host, int(port)

    @property
    def is_running(self):
        return self.process.poll() is None

    @property
    def resident(self):
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def metrics(self):
        """The metrics' values by name and labels; empty while the HTTP port does not answer."""
        url = f"http://{self.http[0]}:{self.http[1]}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:
                text = reply.read().decode()
        except OSError:
            return {}
        return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.M)}

    def saw(self, metric, line):
        """Whether the metric is above zero, and a log line contains the text."""
        counted = poll("the metrics", self.metrics, 10).get(metric, 0) > 0
        return counted and any(line in text for text in self.lines)

    @property
    def peak_of_group(self):
        return int((self.group / "memory.max_usage_in_bytes").read_text())

    def close(self):
        if self.is_running:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
        status = self.process.wait()
        self.reader.join(10)
        if self.group:
            poll("the cgroup is empty", lambda: self._remove_group())
        return status

    def _remove_group(self):
        try:
            self.group.rmdir()
            return True
        except OSError:
            return False


def _look_up(address, connection):
    """Looks up the same agent, at most 200 times a second. Sends the durations in ms when requested."""
    if os.geteuid() == 0:
        # Real-time priority: the client's own waits for a processor must not be counted as the server's.
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    call = framed_call(1, b"GetAgentConfig", field(1, b"disease-diagnosis"))
    one, failures, waits = None, 0, []
    while True:
        if connection.poll():
            if connection.recv() == "end":
                return
            connection.send((waits, failures))
            failures, waits = 0, []
        began = time.monotonic()
        try:
            if one is None:
                one = connect(address)
            one.sendall(call)
            data = one.recv(4)
            length = int.from_bytes(data, "big")
            while length > 0:
                data = one.recv(length)
                if not data:
                    raise ConnectionError("the server has closed")
                length -= len(data)
            waits.append((time.monotonic() - began) * 1000)
        except OSError:
            failures += 1
            if one:
                one.close()
            one = None
            time.sleep(0.05)
        time.sleep(0.005)


class Client:
    """The well-behaved client, in a process of its own."""

    def __init__(self, address):
        self.connection, other = multiprocessing.Pipe()
        self.process = multiprocessing.Process(target=_look_up, args=(address, other), daemon=True)
        self.process.start()

    def take(self):
        """Returns p50, p99 and the longest wait in ms, and the number of failures, since the last call."""
        self.connection.send("take")
        waits, failures = self.connection.recv()
        waits.sort()
        if not waits:
            return (float("inf"), float("inf"), float("inf"), failures)
        return waits[len(waits) // 2], waits[int(len(waits) * 0.99)], waits[-1], failures

    def close(self):
        self.connection.send("end")
        self.process.join(10)
        if self.process.is_alive():
            self.process.kill()


class Gauge(threading.Thread):
    """Records the highest resident memory and the highest `config_lookup_buffered_bytes` while it runs."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server = server
        self.resident = self.counted = 0
        self.stopped = threading.Event()
        self.start()

    def run(self):
        number = 0
        while not self.stopped.wait(0.05) and self.server.is_running:
            self.resident = max(self.resident, self.server.resident)
            if number % 10 == 0:
                self.counted = max(self.counted, self.server.metrics().get("config_lookup_buffered_bytes", 0))
            number += 1

    def stop(self):
        self.stopped.set()
        self.join(10)
