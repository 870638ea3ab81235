# SPDX-License-Identifier: Apache-2.0
"""Keeps all configurations in memory and follows every change, with one server or several, without missing a change.

    python watch.py 127.0.0.1:50061
    python watch.py 10.0.0.1:50061 10.0.0.2:50061
"""

import argparse
import itertools
import os
import signal
import sys
import time

import grpc
from configlookup.v1 import config_lookup_pb2 as messages
from configlookup.v1 import config_lookup_pb2_grpc as services

# If nothing arrives, not even a PROGRESS, the connection may be dead: the keepalive of gRPC detects that.
KEEPALIVE = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.max_receive_message_length", 32 * 1024 * 1024),
]


class Subscriber:
    """Keeps the configurations in force: `held` maps a cache key (`prompt:disease-diagnosis`) to its latest notice.

    There is a cache key for each answer that can be looked up, also `prompt.prompt_id:...` and
    `source_config.container:...`.

    A position is a revision and its epoch. `held` contains every change up to it. A watch that starts at the position,
    on any server, delivers the changes since then, or a RESYNC.
    """

    def __init__(self, servers, progress_interval_ms=0, report=lambda text: None):
        """`report` is called with a text when no server can be watched, and when a watch is open again."""
        self.servers = servers
        self.progress_interval_ms = progress_interval_ms
        self.report = report
        self.held = {}
        self.position = 0
        self.epoch = ""
        self.is_open = True
        self._call = None
        self._is_waiting = False

    def notices(self):
        """Yields every notice, after applying it to `held`. Ends only after `close`."""
        for server in itertools.cycle(self.servers):
            try:
                with grpc.insecure_channel(server, options=KEEPALIVE) as channel:
                    yield from self._follow(server, services.ConfigLookupStub(channel))
            except grpc.RpcError as error:
                # The server is unreachable, draining or not ready. Other errors would occur again.
                if self.is_open and error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
                if self.is_open and not self._is_waiting:
                    self._is_waiting = True
                    self.report(f"waiting for {' or '.join(self.servers)}: {error.details()}")
            if not self.is_open:
                return
            time.sleep(0.1)

    def close(self):
        """Ends the watch. May be called from any thread."""
        self.is_open = False
        if self._call:
            self._call.cancel()

    def _follow(self, server, stub):
        if not self.position:
            self.held.clear()
        self._call = stub.WatchInvalidations(
            messages.WatchInvalidationsRequest(
                start_revision=self.position,
                epoch=self.epoch,
                send_initial_state=not self.position,
                include_values=True,
                progress_interval_ms=self.progress_interval_ms,
            )
        )
        is_first = True
        for notice in self._call:
            if self._is_waiting:
                self._is_waiting = False
                self.report(f"watching {server}")
            if notice.kind == messages.NOTICE_KIND_UPSERT:
                self._take(notice)
            elif notice.kind == messages.NOTICE_KIND_DELETE:
                self.held.pop(notice.cache_key, None)
            elif notice.kind == messages.NOTICE_KIND_PROGRESS and not is_first:
                # Not the first PROGRESS: the initial state follows it, and with a start it names the start revision.
                self._advance(notice)
            elif notice.kind == messages.NOTICE_KIND_RESYNC:
                # Changes may have been missed: start again with the initial state.
                self.position = 0
            is_first = False
            yield notice
            if notice.kind == messages.NOTICE_KIND_RESYNC:
                self._call.cancel()
                return

    def _take(self, notice):
        # After a start at a position, some notices are repeated, the older ones first.
        held = self.held.get(notice.cache_key)
        if held is None or held.epoch != notice.epoch or held.revision <= notice.revision:
            self.held[notice.cache_key] = notice

    def _advance(self, notice):
        # A server may be behind the previous one.
        is_same = notice.epoch == self.epoch
        self.position = max(self.position, notice.revision) if is_same else notice.revision
        self.epoch = notice.epoch


def main():
    parser = argparse.ArgumentParser(description="Prints the configurations in force, and then every change.")
    parser.add_argument("servers", metavar="HOST:PORT", nargs="+", help="a server; all of them serve the same database")
    arguments = parser.parse_args()
    # When the reader closes the pipe, as `head` does, end without a traceback.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    subscriber = Subscriber(
        arguments.servers, report=lambda text: print(f"watch.py: {text}", file=sys.stderr, flush=True)
    )
    try:
        for notice in subscriber.notices():
            kind = messages.NoticeKind.Name(notice.kind).removeprefix("NOTICE_KIND_")
            print(kind, notice.cache_key, f"revision {notice.revision}", notice.reason, flush=True)
    except KeyboardInterrupt:
        subscriber.close()
    except OSError as error:
        # Not sys.exit: Python would write the rest of its buffer again, and fail again.
        print(f"watch.py: standard output: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(74)


if __name__ == "__main__":
    main()
