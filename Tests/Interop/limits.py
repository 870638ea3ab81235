# SPDX-License-Identifier: Apache-2.0
"""The errors that gRPC clients receive at a limit, while the server continues to serve the others."""

from bench import *
from wire import *

CODE = grpc.StatusCode
WATCH = "/configlookup.v1.ConfigLookup/WatchInvalidations"
REFUSED_STREAM = 7


def limits(bench):
    """Runs on a server with limits of 3 watches, 2 calls per connection, and 1,024 bytes per request."""
    bench.put_agent("a")
    request = messages.GetAgentConfigRequest(agent_id="a")
    with bench.stub() as other:
        poll("the agent", lambda: other.ListAgentConfigs(messages.ListAgentConfigsRequest()).total_count)
        watch = Gathering(other.WatchInvalidations(messages.WatchInvalidationsRequest()))
        watch.wait("the first PROGRESS")

        wire = Wire(bench.addresses[0])
        wire.wait_for(SettingsFrame)
        for _ in range(2):
            wire.send(*wire.call(WATCH))
            wire.wait_for(HeadersFrame)
        wire.send(*wire.call(WATCH))
        assert wire.wait_for(RstStreamFrame).error_code == REFUSED_STREAM

        # Three watches are open, which is the limit.
        with bench.stub() as late:
            with fails(CODE.RESOURCE_EXHAUSTED, "3 watches"):
                list(late.WatchInvalidations(messages.WatchInvalidationsRequest()))
            assert late.GetAgentConfig(request).config.agent_id == "a"
            with fails(CODE.RESOURCE_EXHAUSTED, "1024"):
                late.GetAgentConfig(messages.GetAgentConfigRequest(agent_id="a" * 1100))
            wire.close()

            def watches():
                again = late.WatchInvalidations(messages.WatchInvalidationsRequest())
                try:
                    return next(again)
                except grpc.RpcError:
                    return None
                finally:
                    again.cancel()

            poll("a watch can be opened again", watches)
        bench.put_agent("b")
        watch.wait("the change", lambda notices: any(notice.cache_key == "agent_config:b" for notice in notices))


def idle_connection(bench):
    """Runs on a server that drains a connection after a second without a call."""
    with bench.stub() as stub:
        watch = Gathering(stub.WatchInvalidations(messages.WatchInvalidationsRequest(progress_interval_ms=100)))
        watch.wait("the first PROGRESS")
        wire = Wire(bench.addresses[0])
        assert wire.wait_for_close() == 0
        before = len(watch.replies)
        watch.wait("the watch lives", lambda notices: len(notices) > before + 3)


if __name__ == "__main__":
    main(globals())
