# SPDX-License-Identifier: Apache-2.0
"""Looks up the configuration in force for a key.

    python lookup.py 127.0.0.1:50061 agent disease-diagnosis
    python lookup.py 127.0.0.1:50061 prompt disease-diagnosis --subject farmer-17
    python lookup.py 127.0.0.1:50061 source qc-machine-results
"""

import argparse
import os
import signal
import sys

import grpc
from configlookup.v1 import config_lookup_pb2 as messages
from configlookup.v1 import config_lookup_pb2_grpc as services


def look_up(stub, kind, key, subject=None, min_revision=0, timeout=2):
    """Returns the value and the metadata of the reply, which has its revision and the time since it was verified.

    `min_revision` is the `operationTime` of a write (seconds << 32 | increment) or a revision from any server. The
    answer is at least that new; otherwise the call fails with UNAVAILABLE.
    """
    options = messages.LookupOptions(min_revision=min_revision)
    if kind == "agent":
        reply = stub.GetAgentConfig(messages.GetAgentConfigRequest(agent_id=key, options=options), timeout=timeout)
        return reply.config, reply.metadata
    if kind == "prompt":
        variant = messages.PROMPT_VARIANT_AB_TEST if subject else messages.PROMPT_VARIANT_ACTIVE
        request = messages.GetPromptRequest(agent_id=key, variant=variant, subject=subject, options=options)
        reply = stub.GetPrompt(request, timeout=timeout)
        return reply.prompt, reply.metadata
    reply = stub.GetSourceConfig(messages.GetSourceConfigRequest(source_id=key, options=options), timeout=timeout)
    return reply.config, reply.metadata


def main():
    parser = argparse.ArgumentParser(description="Looks up the configuration in force for a key.")
    parser.add_argument("server", metavar="HOST:PORT")
    parser.add_argument("kind", choices=["agent", "prompt", "source"])
    parser.add_argument("key")
    parser.add_argument("--subject", help="the subject of an A/B test of a prompt")
    arguments = parser.parse_args()
    # When the reader closes the pipe, as `head` does, end without a traceback.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)

    # gRPC retries by itself if the server is not ready or draining, on another connection if there is one.
    with grpc.insecure_channel(arguments.server) as channel:
        stub = services.ConfigLookupStub(channel)
        try:
            value, metadata = look_up(stub, arguments.kind, arguments.key, arguments.subject)
        except grpc.RpcError as error:
            sys.exit(f"{error.code().name}: {error.details()}")
    try:
        print(f"# revision {metadata.revision}, verified {metadata.age_ms} ms ago")
        print(value, end="", flush=True)
    except OSError as error:
        # Not sys.exit: Python would write the rest of its buffer again, and fail again.
        print(f"lookup.py: standard output: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(74)


if __name__ == "__main__":
    main()
