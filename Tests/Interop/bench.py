# SPDX-License-Identifier: Apache-2.0
"""The parts that the cases share: stubs, the database behind the servers, documents, and a runner.

A case is a function with one parameter, the bench, that makes assertions. The Swift tests select the case and start the
servers.
"""

import contextlib
import json
import os
import pathlib
import signal
import sys
import threading
import time

with open(sys.argv[2]) as file:
    SETTING = json.load(file)
sys.path[:0] = [SETTING["stubs"], str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "python")]

import bson
import grpc
import pymongo
from configlookup.v1 import config_lookup_admin_pb2 as admin_messages
from configlookup.v1 import config_lookup_admin_pb2_grpc as admin_services
from configlookup.v1 import config_lookup_pb2 as messages
from configlookup.v1 import config_lookup_pb2_grpc as services

OPTIONS = [("grpc.max_receive_message_length", 32 * 1024 * 1024)]
TIMES = {"author": "t", "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"}


class Bench:
    def __init__(self):
        self.addresses = [server["address"] for server in SETTING["servers"]]
        self.pids = [server["pid"] for server in SETTING["servers"]]
        self.database = pymongo.MongoClient(SETTING["uri"])[SETTING["database"]]

    def channel(self, server=0, options=()):
        # Without this option, channels with equal arguments would share a connection.
        own = ("grpc.use_local_subchannel_pool", 1)
        return grpc.insecure_channel(self.addresses[server], options=[*OPTIONS, *options, own])

    @contextlib.contextmanager
    def stub(self, server=0):
        with self.channel(server) as channel:
            yield services.ConfigLookupStub(channel)

    def drain(self, server):
        os.kill(self.pids[server], signal.SIGTERM)

    # Writes

    def put_agent(self, agent_id, description="an agent", version="1.0.0", status="active", type="explorer"):
        """Writes an agent config, and returns the revision of the write, which any driver provides."""
        document = {
            "id": f"{agent_id}:{version}", "agent_id": agent_id, "version": version, "type": type, "status": status,
            "description": description, "input": {"event": "in", "schema": {}},
            "output": {"event": "out", "schema": {}}, "llm": {"model": "m"}, "error_handling": {}, "rag": {},
            "extraction_schema": {}, "metadata": TIMES,
        }
        return self._put("agents", document["id"], document)

    def put_prompt(self, agent_id, template="t", version="1.0.0", status="active", **more):
        document = {
            "id": f"{agent_id}-prompt:{version}", "prompt_id": f"{agent_id}-prompt", "agent_id": agent_id,
            "version": version, "status": status, "content": {"system_prompt": "s", "template": template},
            "metadata": TIMES, **more,
        }
        return self._put("prompts", document["id"], document)

    def put_source(self, source_id, container=None, agent=None, pattern=None, fields=()):
        ingestion = {"mode": "blob_trigger" if container else "scheduled_pull"}
        if container:
            ingestion["landing_container"] = container
        if pattern:
            ingestion["path_pattern"] = {"pattern": pattern, "extract_fields": list(fields)}
        transformation = {"extract_fields": [], "link_field": "l"}
        if agent:
            transformation["ai_agent_id"] = agent
        document = {
            "source_id": source_id, "display_name": "n", "description": "a source", "enabled": True,
            "ingestion": ingestion, "transformation": transformation,
            "storage": {"raw_container": "r", "index_collection": "i"},
        }
        return self._put("sources", source_id, document)

    def _put(self, collection, id, document):
        update = {"q": {"_id": id}, "u": {"_id": id, **document}, "upsert": True}
        return self._run({"update": collection, "updates": [update]})

    def delete(self, collection, id):
        return self._run({"delete": collection, "deletes": [{"q": {"_id": id}, "limit": 1}]})

    def _run(self, command):
        time = self.database.command(command)["operationTime"]
        return time.time << 32 | time.inc


def poll(what, holds, seconds=120):
    """Waits until a condition is true, and returns its value."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)


@contextlib.contextmanager
def fails(code, part=""):
    """The call in the body must fail with this code, and with a message that has `part` in it."""
    seen = {}
    try:
        yield seen
    except grpc.RpcError as error:
        seen["error"] = error
        assert error.code() == code, f"{error.code()}, not {code}: {error.details()}"
        assert part in error.details(), error.details()
        return
    raise AssertionError(f"no error, instead of {code}")


def trailer(call, name):
    return dict(call.trailing_metadata() or ()).get(name)


class Gathering:
    """Collects the messages of a stream in a thread of its own."""

    def __init__(self, call):
        self.call = call
        self.replies = []
        self.error = None
        self.is_over = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            for reply in self.call:
                self.replies.append(reply)
        except grpc.RpcError as error:
            self.error = error
        self.is_over = True

    def wait(self, what, holds=lambda replies: replies):
        return poll(what, lambda: holds(self.replies) or self._check(what))

    def _check(self, what):
        assert not self.is_over, f"{what}: the stream has ended: {self.error}, {self.replies}"

    def wait_for_end(self):
        poll("the stream ends", lambda: self.is_over)
        return self.error


def main(cases):
    """Runs the case that the first argument names."""
    cases[sys.argv[1]](Bench())
    print("passed", sys.argv[1])
