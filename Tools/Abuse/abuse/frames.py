# SPDX-License-Identifier: Apache-2.0
"""Encodes both protocols with little work in Python, so that its client does not slow down an attack."""

import socket
import struct

WATCH = b"/configlookup.v1.ConfigLookup/WatchInvalidations"
LOOKUP = b"/configlookup.v1.ConfigLookup/GetAgentConfig"
HEALTH_WATCH = b"/grpc.health.v1.Health/Watch"
REFLECTION = b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
HEADERS, DATA, RST_STREAM, SETTINGS = 1, 0, 3, 4


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """Encodes a field of a protobuf message. The value is an integer or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


# Frames over TCP


def framed(call_id, body):
    frame = field(1, call_id) + body
    return struct.pack(">I", len(frame)) + frame


def framed_call(call_id, method, request):
    return framed(call_id, field(2, field(1, method) + field(2, request)))


def framed_cancel(call_id):
    return framed(call_id, field(4, b""))


# HTTP/2


def frame(kind, stream, payload=b"", flags=0):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    # A literal header field without indexing, so neither side adds it to its table.
    return b"\0" + hpack_string(name) + hpack_string(value)


def hpack_string(text):
    if len(text) < 127:
        return bytes([len(text)]) + text
    return b"\x7f" + varint(len(text) - 127) + text


def headers(path, more=()):
    fields = [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"abuse"), (b"te", b"trailers"),
        (b"content-type", b"application/grpc"), *more,
    ]
    return b"".join(literal(*pair) for pair in fields)


def message(request):
    return b"\0" + struct.pack(">I", len(request)) + request


def calls(path, request, streams, ends=True):
    """Encodes complete calls on these streams. If `request` is None, only their headers."""
    block = headers(path)
    body = None if request is None else message(request)
    out = []
    for stream in streams:
        out.append(frame(HEADERS, stream, block, 0x4))
        if body is not None:
            parts = [body[start:start + 16_384] for start in range(0, len(body), 16_384)]
            out += [frame(DATA, stream, part) for part in parts[:-1]]
            out.append(frame(DATA, stream, parts[-1], 0x1 if ends else 0))
    return b"".join(out)


def preface(window=None):
    settings = b"" if window is None else struct.pack(">HI", 4, window)
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, settings) + frame(SETTINGS, 0, b"", 0x1)


def connect(address):
    one = socket.create_connection(address, timeout=20)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def swallow(sockets):
    """Reads and discards all received bytes, and returns the sockets that are still open."""
    still = []
    for one in sockets:
        one.setblocking(False)
        try:
            while one.recv(1 << 18):
                pass
            one.close()
        except BlockingIOError:
            still.append(one)
        except OSError:
            one.close()
    return still


def send(one, data):
    """Sends all data. Returns False if the server has closed the connection, or reads nothing for 20 s."""
    one.settimeout(20)
    try:
        one.sendall(data)
        return True
    except OSError:
        return False
