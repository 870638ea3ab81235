# SPDX-License-Identifier: Apache-2.0
"""The measured server, and its database."""

import json
import pathlib
import sys
import urllib.error
import urllib.request

import grpc
import pymongo

from . import build, data
from .system import LOAD_CORE, SERVER_CORE, BenchError, answers, free_port, poll

SERVER = build.ROOT / ".build/release/config-lookup-server"
GET = "/configlookup.v1.ConfigLookup/GetAgentConfig"
WATCH = "/configlookup.v1.ConfigLookup/WatchInvalidations"
_TIMES = {"author": "t", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"}
_FIRST_PADDING = 1000


class Database:
    """A SecantusDB process on the core of the load."""

    def __init__(self, system, *flags):
        self._system = system
        self.port = free_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}/"
        command = pathlib.Path(sys.executable).parent / "secantusd-py"
        self.process = system.start(
            [command, "--port", self.port, "--storage-path", ":memory:", "--noop-heartbeat-seconds", "1",
             "--log-level", "WARNING", *flags],
            LOAD_CORE, log="database.log")
        poll("the database answers", lambda: answers(self.port), child=self.process)
        self.client = pymongo.MongoClient(self.uri)
        self.agents = self.client.bench.agents
        self._padding = None

    @property
    def pid(self):
        return self.process.pid

    def document(self, key, padding, content="0"):
        return {
            "_id": key, "id": f"{key}:1.0.0", "agent_id": key, "version": "1.0.0", "type": "explorer",
            "status": "active", "description": f"{content} ".ljust(padding, "x"),
            "input": {"event": "in", "schema": {}}, "output": {"event": "out", "schema": {}}, "llm": {"model": "m"},
            "error_handling": {}, "rag": {}, "extraction_schema": {}, "metadata": _TIMES,
        }

    def padding(self):
        """Returns the size of a description with which a reply has at least 2,048 bytes, found with a lookup."""
        if self._padding is None:
            self.agents.insert_one(self.document("agent-0000", _FIRST_PADDING))
            server = Server(self._system, self)
            # 8 bytes more, because the size of the age in a reply varies from one to three bytes.
            self._padding = _FIRST_PADDING + data.REPLY_BYTES + 8 - len(server.ask("agent-0000"))
            server.stop()
        return self._padding

    def fill(self, count=data.KEYS, digits=4):
        """Replaces the content of the collection by `count` numbered agent configs."""
        padding = self.padding()
        self.agents.drop()
        for start in range(0, count, 1000):
            numbers = range(start, min(start + 1000, count))
            self.agents.insert_many(
                [self.document(data.key(number, digits).decode(), padding) for number in numbers])

    def keep_images(self, keeps_images):
        """Enables or disables post-images of the collection."""
        self.client.bench.command("collMod", "agents", changeStreamPreAndPostImages={"enabled": keeps_images})

    def forget_history(self):
        """Prunes the oplog. Otherwise a server that starts would also read the changes of the last ten minutes.

        Requires `--oplog-max-entries`.
        """
        self.client.admin.command("secantusAdmin.pruneOplog")

    def stop(self):
        self.client.close()
        self._system.stop(self.process)


class Server:
    """A warm config-lookup-server with the agent configs of a database."""

    def __init__(self, system, database, *flags, threads=1, core=SERVER_CORE, wait=True):
        self._system, self._log = system, f"server-{free_port()}.log"
        self.process = system.start(
            [SERVER, "--mongodb-uri", database.uri, "--agent-configs", "bench.agents", "--prompts", "bench.prompts",
             "--source-configs", "bench.sources", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
             "--log-format", "json", "--threads", threads, "--max-connections-per-address", 20000,
             "--max-connections", 20000, "--max-subscribers", 20000, *flags],
            core, log=self._log)
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self, seconds=300):
        fields = poll("the server is ready", self._ready, seconds, self.process)
        self.port = int(fields["listen"].rsplit(":", 1)[1])
        self.http = f"http://{fields['http_listen']}"

    def _ready(self):
        for line in (self._system.folder / self._log).read_text().splitlines():
            if '"event":"ready"' in line:
                return json.loads(line)
        return None

    @property
    def pid(self):
        return self.process.pid

    def ask(self, key):
        """Looks up a key, and returns the bytes of the reply."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            return channel.unary_unary(GET)(data.field(1, key.encode()), timeout=10)

    def check(self, count=data.KEYS):
        """Checks that every key returns its own config, in a reply of at least REPLY_BYTES."""
        with grpc.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            call = channel.unary_unary(GET)
            for number in range(count):
                key = data.key(number)
                reply = call(data.field(1, key), timeout=10)
                if len(reply) < data.REPLY_BYTES or data.field(2, key) not in reply:
                    raise BenchError(f"{key}: the reply has {len(reply)} bytes, or is that of another key")

    def health(self):
        """Returns the health of the cache of agent configs."""
        with urllib.request.urlopen(self.http + "/health/cache", timeout=10) as reply:
            return json.load(reply)["agent_config"]

    def reload(self):
        urllib.request.urlopen(
            urllib.request.Request(self.http + "/admin/cache/invalidate", method="POST"), timeout=10).close()

    def stop(self):
        self._system.stop(self.process)
