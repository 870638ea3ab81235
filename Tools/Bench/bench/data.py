# SPDX-License-Identifier: Apache-2.0
"""The data that all peers serve, and the requests. Protobuf is encoded here, so that all peers have equal bytes."""

import random
import struct

REPLY_BYTES = 2048
KEYS = 1000


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out) + bytes([number])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def find_field(message, wanted):
    """Returns the bytes of the first field with this number in a message; empty if there is none."""
    at = 0

    def take():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        tag = take()
        size = {0: 0, 1: 8, 5: 4}.get(tag & 7)
        value = take() if tag & 7 in (0, 2) else 0
        size = value if size is None else size
        if tag >> 3 == wanted:
            return message[at:at + size]
        at += size
    return b""


def key(number, digits=4):
    return b"agent-%0*d" % (digits, number)


def frame(message):
    return struct.pack(">I", len(message)) + message


def grpc_message(message):
    return b"\0" + frame(message)


def call(number, method, request):
    """Encodes a `Frame` of the framed protocol with a call."""
    return frame(field(1, number) + field(2, field(1, method) + field(2, request)))


def _entry(number, chance):
    """Encodes a `GetReply` of peer.proto with REPLY_BYTES bytes."""
    head = field(1, key(number)) + field(2, 1_000_000 + number)
    for tag in (b"prod", b"eu-west-1", b"tenant-%03d" % (number % 97), b"tier:gold"):
        head += field(3, tag)
    tail = field(5, chance.randbytes(32))
    room = REPLY_BYTES - len(head) - len(tail) - 3
    words = [b"model", b"temperature", b"tools", b"search", b"You are a careful assistant.", b"retry", b"policy"]
    text = b""
    while len(text) < room:
        text += chance.choice(words) + b" "
    return head + field(4, text[:room]) + tail


def entries():
    chance = random.Random(1)
    return [(key(number), _entry(number, chance)) for number in range(KEYS)]


def shuffled(count=KEYS, digits=4):
    keys = [key(number, digits) for number in range(count)]
    random.Random(2).shuffle(keys)
    return keys


def framed_lookups(keys):
    return b"".join(call(number + 1, b"GetAgentConfig", field(1, key)) for number, key in enumerate(keys))


# A watch of agent configs with one PROGRESS per hour.
_QUIET_WATCH = field(1, 1) + field(8, 3_600_000)


def _http2_call(path, body):
    """Encodes everything that a client sends for one call on a connection of its own."""

    def part(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def text(value):
        return bytes([len(value)]) + value

    block = (b"\x83\x86\x04" + text(path) + b"\x01" + text(b"bench") + b"\x0f\x10" + text(b"application/grpc")
             + b"\x00" + text(b"te") + text(b"trailers"))
    # The window of the connection is larger than the data of any run.
    window = part(8, 0, 0, struct.pack(">I", 1 << 30))
    return (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + part(4, 0, 0, struct.pack(">HI", 4, 1 << 30)) + window
            + part(1, 4, 1, block) + part(0, 1, 1, body))


def write(folder):
    """Writes the files that peers and loads read."""
    keys, served = shuffled(), entries()
    bulk = [b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key) for key in keys]
    files = {
        "entries": b"".join(frame(message) for _, message in served),
        "framed": framed_lookups(keys),
        "resp": b"".join(map(frame, bulk)),
        "memcached": b"".join(frame(b"mg %s v\r\n" % key) for key in keys),
        "grpc": grpc_message(field(1, keys[0])),
        "watch-peer": grpc_message(field(1, b"burst:%d" % KEYS)),
        # Entity 1 is agent configs; field 6 requests the initial state.
        "watch-ours": grpc_message(field(1, 1) + field(6, 1)),
        "subscribe-framed": call(1, b"WatchInvalidations", _QUIET_WATCH),
        "subscribe-http2": _http2_call(b"/configlookup.v1.ConfigLookup/WatchInvalidations", grpc_message(_QUIET_WATCH)),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    # nghttpd serves a file, which must have the size of the message with its prefix.
    (folder / "www").mkdir()
    (folder / "www" / "reply").write_bytes(grpc_message(served[0][1]))
