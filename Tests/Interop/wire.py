# SPDX-License-Identifier: Apache-2.0
"""A connection that sends arbitrary HTTP/2 frames, valid or invalid."""

import contextlib
import socket
import time

import hpack
from hyperframe.frame import *

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
ENHANCE_YOUR_CALM = 11


class Wire:
    def __init__(self, address, settings=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.input = b""
        self.go_away = None
        self.stream = -1
        self.send_bytes(PREFACE + SettingsFrame(0, settings=settings or {}).serialize())

    def close(self):
        self.socket.close()

    # Sending

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send(self, *frames):
        self.send_bytes(b"".join(frame.serialize() for frame in frames))

    def next_stream(self):
        self.stream += 2
        return self.stream

    def headers(self, path, extra=()):
        fields = [
            (":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test"), ("te", "trailers"),
            ("content-type", "application/grpc"), *extra,
        ]
        return self.encoder.encode(fields)

    def call(self, path, message=b"", stream=None):
        """Returns the frames of a complete call."""
        stream = stream or self.next_stream()
        head = HeadersFrame(stream, self.headers(path), flags=["END_HEADERS"])
        body = DataFrame(stream, b"\0" + len(message).to_bytes(4, "big") + message, flags=["END_STREAM"])
        return head, body

    def send_until_cut(self, make, count, block=100):
        """Sends up to `count` frames, until the server closes the connection. Returns the number of sent frames.

        Replies are read meanwhile, so that the server can write.
        """
        sent = 0
        self.socket.setblocking(False)
        try:
            while sent < count:
                data = memoryview(b"".join(make() for _ in range(block)))
                end = time.monotonic() + 20
                while data:
                    self._read_some()
                    try:
                        data = data[self.socket.send(data):]
                    except BlockingIOError:
                        assert time.monotonic() < end, "the server neither reads nor closes"
                        time.sleep(0.001)
                sent += block
        except (ConnectionError, EOFError):
            pass
        finally:
            self.socket.setblocking(True)
            self.socket.settimeout(20)
        return sent

    def _read_some(self):
        with contextlib.suppress(BlockingIOError):
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            self.input += data
            for _ in self._parse():
                pass

    # Receiving

    def _parse(self):
        while len(self.input) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self.input)[:9])
            if len(self.input) < 9 + length:
                return
            frame.parse_body(memoryview(self.input)[9:9 + length])
            self.input = self.input[9 + length:]
            if isinstance(frame, GoAwayFrame):
                self.go_away = frame
            yield frame

    def frames(self):
        """Yields the frames that the server sends, until it closes the connection."""
        while True:
            yield from self._parse()
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionError:
                return
            if not data:
                return
            self.input += data

    def wait_for_close(self):
        """Reads until the server closes the connection. Returns the code of its GOAWAY, or None."""
        for _ in self.frames():
            pass
        return self.go_away and self.go_away.error_code

    def wait_for(self, kind, holds=lambda frame: True):
        """Returns the next frame of a type, or of one of several types."""
        for frame in self.frames():
            if isinstance(frame, kind) and holds(frame):
                return frame
        raise AssertionError(f"the server closed before a {kind}; GOAWAY: {self.go_away}")
