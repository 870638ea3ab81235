# SPDX-License-Identifier: Apache-2.0
"""The compared servers: each is a process on the server's core, with the flags for the load against it."""

import dataclasses
import shutil
import socket

import grpc

from . import build, data, ours
from .system import BenchError, answers, free_port, poll


@dataclasses.dataclass
class Target:
    name: str
    pid: int
    port: int
    # The flags of `load`.
    flags: tuple
    watch_flags: tuple = ()


def ours_framed(server):
    return Target("ours", server.pid, server.port, ("--protocol", "framed", "--requests", "framed", "--at-least", 2048))


def ours_grpc(server):
    common = ("--protocol", "h2", "--path")
    return Target(
        "ours", server.pid, server.port, (*common, ours.GET, "--requests", "grpc", "--at-least", 2048),
        # A PROGRESS is sent before the first key, and one after the last.
        (*common, ours.WATCH, "--requests", "watch-ours", "--watch", data.KEYS + 2))


def start_framed(system):
    exact = ("--expected", data.REPLY_BYTES)
    floor = _start(
        system, "bare C", lambda port: [build.FOLDER / "floor_framed", port, data.REPLY_BYTES],
        ("--protocol", "framed", "--requests", "framed", *exact))
    redis = _start(
        system, "Redis", lambda port: [
            "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir",
            system.folder],
        ("--protocol", "resp", "--requests", "resp", *exact))
    _put(redis, b"+OK", [
        b"*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(key), key, len(value), value)
        for key, value in data.entries()])
    memcached = _start(
        system, "memcached", lambda port: [
            "memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", port, "-U", 0, "-t", 1, "-m", 64, "-R", 64],
        ("--protocol", "memcached", "--requests", "memcached", *exact))
    _put(memcached, b"STORED", [
        b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value) for key, value in data.entries()])
    return [redis, memcached, floor]


def start_grpc(system):
    entries = system.folder / "entries"
    exact = ("--protocol", "h2", "--expected", data.REPLY_BYTES, "--requests", "grpc")
    watch = ("--protocol", "h2", "--path", "/peer.v1.Lookup/Watch", "--requests", "watch-peer", "--watch", 0)
    targets = [
        _start(system, f"C++ {mode}", lambda port, mode=mode: [build.FOLDER / "grpc_peer", port, mode, entries],
               exact, watch)
        for mode in ("callback", "async", "raw")]
    targets.append(
        _start(system, "Go", lambda port: [build.FOLDER / "grpc_peer_go", port, entries], exact, watch))
    for target in targets:
        _check(target)
    targets.append(
        _start(system, "bare HTTP/2", lambda port: [build.FOLDER / "floor_http2", port, entries], exact))
    if shutil.which("nghttpd"):
        targets.append(
            _start(system, "nghttpd", lambda port: ["nghttpd", "--no-tls", "-d", system.folder / "www", port],
                   (*exact, "--path", "/reply")))
    return targets


def _start(system, name, command, flags, watch_flags=()):
    port = free_port()
    child = system.start(command(port), log=f"{name.replace('/', '-')}.log")
    poll(f"{name} answers", lambda: answers(port), child=child)
    return Target(name, child.pid, port, flags, watch_flags)


def _put(target, wanted, commands):
    with socket.create_connection(("127.0.0.1", target.port), 10) as connection:
        connection.sendall(b"".join(commands))
        got = b""
        while got.count(b"\n") < len(commands):
            got += connection.recv(65536)
    if got.count(wanted) != len(commands):
        raise BenchError(f"{target.name} does not take the entries")


def _check(target):
    """Checks with a real gRPC client that the peer returns the data."""
    with grpc.insecure_channel(f"127.0.0.1:{target.port}") as channel:
        call = channel.unary_unary("/peer.v1.Lookup/Get")
        for key, message in data.entries():
            if call(data.field(1, key), timeout=10) != message:
                raise BenchError(f"{target.name}: another reply for {key}")
        notices = channel.unary_stream("/peer.v1.Lookup/Watch")(data.field(1, b"burst:%d" % data.KEYS), timeout=10)
        if sum(1 for _ in notices) != data.KEYS:
            raise BenchError(f"{target.name}: not every notice")
