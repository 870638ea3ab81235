# SPDX-License-Identifier: Apache-2.0
"""The attacks. Each takes a `Scene`, runs for about `Scene.seconds`, and leaves its connections to the scene, which
closes them. The decorator names the evidence of the limit that stops the attack: a metric, and a text in the log."""

import dataclasses
import socket
import time
import urllib.request

from .frames import *

REACHED = 'config_lookup_limits_reached_total{limit="%s"}'
ENDED = 'config_lookup_connections_ended_total{protocol="%s",reason="flood"}'


@dataclasses.dataclass
class Scene:
    server: object
    database: object
    seconds: float
    sockets: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)

    def connect(self, first=b""):
        one = connect(self.server.address)
        self.sockets.append(one)
        if first:
            send(one, first)
        return one

    def hold(self, each_second=lambda: None):
        """Keeps the attack up: reads all replies, and calls `each_second` five times a second."""
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            self.sockets = swallow(self.sockets)
            each_second()
            time.sleep(0.2)

    def close(self):
        for one in self.sockets:
            one.close()
        self.sockets = []


@dataclasses.dataclass
class Attack:
    name: str
    run: object
    metric: str
    line: str
    about: str


ATTACKS = []


def attack(metric=None, line=None):
    """Registers an attack. Without a metric, no limit stops it: its memory is counted, and no more is promised."""
    def add(function):
        name = function.__name__.replace("_", "-")
        ATTACKS.append(Attack(name, function, metric, line, " ".join((function.__doc__ or "").split())))
        return function

    return add


@attack(REACHED % "reflection_streams_per_connection", "reflection_streams_per_connection")
def reflection(scene):
    """17 connections with 1,000 reflection streams each, and a client window of zero for their replies."""
    question = field(4, b"configlookup.v1.ConfigLookup")
    data = preface(0) + calls(REFLECTION, question, range(1, 2001, 2), ends=False)
    for _ in range(17):
        scene.connect(data)
    scene.hold()


@attack(REACHED % "health_watches_per_connection", "health_watches_per_connection")
def health_watches(scene):
    """420 connections with 1,024 health watches each."""
    data = preface() + calls(HEALTH_WATCH, b"", range(1, 2049, 2))
    for _ in range(420):
        scene.connect(data)
        if len(scene.sockets) % 50 == 0:
            scene.sockets = swallow(scene.sockets)
    scene.hold()


@attack(REACHED % "waiting_calls", "waiting_calls")
def waits(scene, count=10_000):
    """10,000 lookups of one key wait for a revision that is not reached, while documents of the entity change."""
    revision = (int(time.time()) + 50) << 32
    request = field(1, b"nobody-has-this-key") + field(2, field(2, revision))
    ends = {}

    def refill():
        """Replaces the calls that have ended, so that their number stays the same."""
        for one in list(scene.sockets):
            if ends.get(one, 0) < time.monotonic():
                first = int(time.monotonic() * 1000) % 1_000_000_000
                ends[one] = time.monotonic() + 1
                data = b"".join(framed_call(first + id, b"GetAgentConfig", request) for id in range(1000))
                if not send(one, data):
                    scene.sockets.remove(one)
        scene.database.put("changing", str(time.monotonic()))

    for _ in range(count // 1000):
        scene.connect()
    scene.hold(refill)


@attack(REACHED % "waiting_calls", "waiting_calls")
def many_waits(scene):
    """Like waits, with 60,000 lookups."""
    waits(scene, 60_000)


@attack(REACHED % "http_connections_per_address", "http_connections_per_address")
def silent_http(scene):
    """128 connections to the HTTP port that send nothing, and are opened again as soon as they are closed."""
    failed = asked = 0
    end = time.monotonic() + scene.seconds
    held = []
    while time.monotonic() < end:
        held = swallow(held)
        while len(held) < 128:
            held.append(connect(scene.server.http))
        asked += 1
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{scene.server.http[1]}/health/live", timeout=2).read()
        except OSError:
            failed += 1
        time.sleep(0.1)
    scene.sockets += held
    scene.notes.append(f"{failed} of {asked} probes failed")
    if failed:
        scene.notes.append("FAILED: probes")


@attack()
def watch_filters(scene):
    """800 watches with 8,000 prefixes each on one connection, and five writes a second."""
    prefixes = b"".join(field(3, b"%05d" % number) for number in range(8000))
    one = scene.connect(preface())
    for stream in range(1, 1601, 2):
        if not send(one, calls(WATCH, prefixes, [stream])):
            break
    scene.hold(lambda: scene.database.put("changing", str(time.monotonic())))


@attack()
def progress(scene):
    """4,000 watches with the smallest `progress_interval_ms` that the server accepts."""
    interval = 10 if accepts(scene, 10) else 1000
    request = field(8, interval)
    for _ in range(4):
        scene.connect(preface(1 << 30) + calls(WATCH, request, range(1, 2001, 2)))
    before, began = scene.server.cpu, time.monotonic()
    scene.hold()
    used = (scene.server.cpu - before) / (time.monotonic() - began)
    scene.notes.append(f"{used:.2f} of a core, at {interval} ms")


def accepts(scene, interval):
    one = connect(scene.server.address)
    try:
        one.sendall(framed_call(1, b"WatchInvalidations", field(8, interval)))
        return b"progress_interval_ms" not in one.recv(4096)
    finally:
        one.close()


def flood(scene, cancels):
    """Repeats `cancels` on a connection, and reconnects when the server closes it."""
    end = time.monotonic() + scene.seconds
    before, began, rounds, first = scene.server.cpu, time.monotonic(), 0, 1
    one = None
    while time.monotonic() < end:
        if one is None:
            one = connect(scene.server.address)
            one.setblocking(False)
            rounds += 1
            data = memoryview(cancels(first=True))
        try:
            data = data[one.send(data):]
            if not data:
                data = memoryview(cancels(first=False))
        except BlockingIOError:
            time.sleep(0.001)
        except OSError:
            one.close()
            one = None
            # Like a client with a short backoff.
            time.sleep(0.1)
            continue
        if not swallow([one]):
            one = None
            time.sleep(0.1)
    if one:
        one.close()
    used = (scene.server.cpu - before) / (time.monotonic() - began)
    scene.notes.append(f"{used:.2f} of a core, disconnected {rounds - 1} times")


@attack(ENDED % "framed", "framed_flood")
def open_and_cancel(scene):
    """Watches with their initial state and values over frames, opened and cancelled again and again."""
    request = field(6, 1) + field(7, 1)
    ids = iter(range(1, 1 << 31))

    def cancels(first):
        chosen = [next(ids) for _ in range(200)]
        return b"".join(framed_call(id, b"WatchInvalidations", request) + framed_cancel(id) for id in chosen)

    flood(scene, cancels)


@attack(ENDED % "grpc", "grpc_flood")
def open_and_reset(scene):
    """Like open-and-cancel, over gRPC."""
    request = field(6, 1) + field(7, 1)
    state = {}

    def cancels(first):
        if first:
            state["next"] = 1
        start = state["next"]
        state["next"] = start + 400
        out = [preface(1 << 30)] if first else []
        for stream in range(start, start + 400, 2):
            out += [calls(WATCH, request, [stream]), frame(RST_STREAM, stream, struct.pack(">I", 8))]
        return b"".join(out)

    flood(scene, cancels)


@attack()
def begun_requests(scene):
    """200 connections with 1,024 incomplete gRPC requests each, which are opened again when they expire."""
    block = calls(LOOKUP, None, range(1, 2049, 2))
    ends = {}

    def refill():
        while len(scene.sockets) < 200:
            scene.connect(preface() + block)
    refill()
    scene.hold(refill)


@attack()
def waiting_documents(scene):
    """300 connections with 500 lookups of a large document each, and a client window of zero."""
    scene.database.put("large", "x" * 100_000)
    data = preface(0) + calls(LOOKUP, field(1, b"large"), range(1, 1001, 2))
    for _ in range(300):
        scene.connect(data)
    scene.hold()


@attack()
def idle_connections(scene, count=2400):
    """2,400 connections that have sent a preface and nothing else."""
    for _ in range(count):
        scene.connect(preface())
    scene.hold()
