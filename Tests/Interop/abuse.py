# SPDX-License-Identifier: Apache-2.0
"""Abusive HTTP/2 clients. The server must disconnect them or limit their cost, and continue to serve the others."""

import os
import resource
import threading

from bench import *
from wire import *

LOOKUP = "/configlookup.v1.ConfigLookup/GetAgentConfig"
WATCH = "/configlookup.v1.ConfigLookup/WatchInvalidations"
REQUEST = b"\x0a\x01a"


class Server:
    """The memory in MiB and the CPU time in seconds of the server process."""

    def __init__(self, pid):
        self.pid = pid

    @property
    def memory(self):
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    @property
    def cpu(self):
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def attack(bench, name, memory=64):
    """Runs the body as an attack. Another client must be served throughout, the server may use at most `memory` MiB
    more, and it must be idle afterwards."""
    server = Server(bench.pids[0])
    bench.put_agent("a")
    stop = threading.Event()
    served = {"count": 0, "error": None}

    def serve():
        try:
            with bench.stub() as stub:
                everything = messages.ListAgentConfigsRequest()
                poll("the agent is there", lambda: stub.ListAgentConfigs(everything).total_count)
                request = messages.GetAgentConfigRequest(agent_id="a")
                while not stop.is_set():
                    assert stub.GetAgentConfig(request, timeout=10).config.agent_id == "a"
                    served["count"] += 1
        except Exception as error:
            served["error"] = error

    thread = threading.Thread(target=serve)
    thread.start()
    poll("the other client is served", lambda: served["count"] or served["error"])
    before, cpu, began = server.memory, server.cpu, time.monotonic()
    peak = {"memory": before}

    def watch():
        while not stop.wait(0.05):
            peak["memory"] = max(peak["memory"], server.memory)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        watcher.join(20)
    assert served["error"] is None, served["error"]
    grown = max(peak["memory"], server.memory) - before
    print(
        f"{name}: {time.monotonic() - began:.1f} s, {server.cpu - cpu:.2f} s of CPU, memory {before:.0f} MiB "
        f"and at most {grown:.0f} more, {served['count']} lookups of another client", flush=True)
    assert grown < memory, f"{grown} MiB"
    # No work may continue after the attack: the server may use at most a tenth of a core.
    rests = lambda start: time.sleep(0.5) or server.cpu - start <= 0.05
    poll("the server is idle", lambda: rests(server.cpu))


def cut_off(bench, name, make, count=100_000):
    """The server must end the connection before it has read all of `count` frames."""
    with attack(bench, name):
        wire = Wire(bench.addresses[0])
        sent = wire.send_until_cut(lambda: make(wire), count)
        code = wire.wait_for_close()
        print(f"{name}: disconnected after about {sent} of {count} frames, GOAWAY {code}", flush=True)
        assert sent < count, "the server read all frames"
        assert code == ENHANCE_YOUR_CALM, code


def serialized(*frames):
    return b"".join(frame.serialize() for frame in frames)


def rapid_reset(bench):
    def make(wire):
        head, _ = wire.call(LOOKUP)
        return serialized(head, RstStreamFrame(head.stream_id, error_code=8))

    cut_off(bench, "rapid reset", make)


def rapid_reset_of_watches(bench):
    def make(wire):
        head, body = wire.call(WATCH)
        return serialized(head, body, RstStreamFrame(head.stream_id, error_code=8))

    cut_off(bench, "rapid reset of watches", make)


def made_you_reset(bench):
    """The client makes the server reset each stream, by an invalid frame after its request."""
    def make(wire):
        head, body = wire.call(LOOKUP, REQUEST)
        return serialized(head, body, WindowUpdateFrame(head.stream_id, window_increment=2**31 - 1))

    cut_off(bench, "made you reset", make)


def endless_continuation(bench):
    def begin(wire):
        wire.send(HeadersFrame(wire.next_stream(), wire.headers(LOOKUP)))

    def make(wire):
        if wire.stream < 0:
            begin(wire)
        return ContinuationFrame(wire.stream, b"\x00\x01x\x01y" * 100).serialize()

    cut_off(bench, "endless CONTINUATION", make)


def empty_continuation(bench):
    def make(wire):
        if wire.stream < 0:
            wire.send(HeadersFrame(wire.next_stream(), wire.headers(LOOKUP)))
        return ContinuationFrame(wire.stream, b"").serialize()

    cut_off(bench, "empty CONTINUATION", make)


def ping_flood(bench):
    cut_off(bench, "PING flood", lambda wire: PingFrame(0, b"12345678").serialize())


def settings_flood(bench):
    cut_off(bench, "SETTINGS flood", lambda wire: SettingsFrame(0, settings={4: 65_535}).serialize())


def empty_data_flood(bench):
    def make(wire):
        if wire.stream < 0:
            head, _ = wire.call(LOOKUP)
            wire.send(head)
        return DataFrame(wire.stream, b"").serialize()

    cut_off(bench, "empty DATA flood", make)


def priority_flood(bench):
    cut_off(bench, "PRIORITY flood", lambda wire: PriorityFrame(1, depends_on=3, stream_weight=5).serialize())


def window_update_flood(bench):
    cut_off(bench, "WINDOW_UPDATE flood", lambda wire: WindowUpdateFrame(0, window_increment=1).serialize())


def window_of_zero(bench):
    """A hundred clients with a hundred calls each, large replies and watches, and a window of zero for the replies."""
    bench.put_prompt("large", "x" * 1_000_000)
    with attack(bench, "window of zero", memory=100):
        wires = []
        for _ in range(100):
            wire = Wire(bench.addresses[0], {SettingsFrame.INITIAL_WINDOW_SIZE: 0})
            for _ in range(50):
                wire.send(*wire.call("/configlookup.v1.ConfigLookup/GetPrompt", b"\x0a\x05large"))
                wire.send(*wire.call(WATCH, b"\x38\x01"))
            wires.append(wire)
        for number in range(200):
            bench.put_agent(f"b{number % 10}", "y" * 1000 + str(number))
        print("window of zero:", sum(is_open(wire) for wire in wires), "of 100 still open", flush=True)
        for wire in wires:
            wire.close()


def is_open(wire):
    wire.socket.setblocking(False)
    try:
        while wire.socket.recv(1 << 16):
            pass
        return False
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def slow_headers(bench):
    """A hundred clients that send an incomplete preface, frame or header block, and nothing more."""
    with attack(bench, "slow headers"):
        wires = []
        for number in range(100):
            host, port = bench.addresses[0].rsplit(":", 1)
            if number % 2:
                plain = socket.create_connection((host, int(port)))
                plain.sendall(PREFACE[:5 + number % 15])
                wires.append(plain)
                continue
            wire = Wire(bench.addresses[0])
            block = wire.headers(LOOKUP)
            data = HeadersFrame(1, block, flags=["END_HEADERS"] if number % 4 else []).serialize()
            wire.send_bytes(data[:-3] if number % 4 else data)
            wires.append(wire.socket)
        end = time.monotonic() + 90
        for one in wires:
            one.settimeout(max(1, end - time.monotonic()))
            try:
                while one.recv(1 << 16):
                    pass
            except ConnectionError:
                pass
            except TimeoutError:
                raise AssertionError("a connection that sends nothing is still open")
            one.close()


def large_headers(bench):
    """The largest possible number of headers in one block, each encoded in one byte."""
    with attack(bench, "large headers"):
        wire = Wire(bench.addresses[0])
        block = wire.headers(LOOKUP, [("x-large", "a" * 3000)])
        # Each byte refers to the last entry of the dynamic table: 42 MB of headers in one frame.
        block += b"\xbe" * 14_000
        wire.send(HeadersFrame(wire.next_stream(), block, flags=["END_HEADERS", "END_STREAM"]))
        headers = dict(wire.decoder.decode(wire.wait_for(HeadersFrame).data))
        assert headers["grpc-status"] == "8", headers
        wire.close()


def connections_opened_and_left(bench, most=10_000):
    """Each connection sends its preface, or nothing. The server rejects those beyond its limit, and serves others."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.prlimit(bench.pids[0], resource.RLIMIT_NOFILE)
    # The number is limited by the open-file limits of both processes.
    count = min(most, hard - 200, soft - 200)
    with attack(bench, f"{count} connections", memory=100):
        sockets = []
        host, port = bench.addresses[0].rsplit(":", 1)
        for number in range(count):
            one = socket.create_connection((host, int(port)), timeout=20)
            if number % 2:
                one.sendall(PREFACE + SettingsFrame(0).serialize())
            sockets.append(one)
        for one in sockets:
            one.close()


if __name__ == "__main__":
    main(globals())
