# SPDX-License-Identifier: Apache-2.0
"""Calls of the service with grpcio, with stubs that are generated from proto/."""

import socket
import struct
import threading
import time

from bench import *
from configlookup.frame.v1 import frame_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status

CODE = grpc.StatusCode


def every_method(bench):
    bench.put_agent("a", "first")
    bench.put_prompt("a", "of a")
    bench.put_prompt("a", "staged of a", version="1.1.0", status="staged")
    bench.put_source("s1", container="c", agent="a", pattern="in/{day}/{name}.json", fields=["day", "name"])
    newest = bench.put_source("s2", agent="a")
    options = messages.LookupOptions(min_revision=newest)
    with bench.stub() as stub:
        reply, call = stub.GetAgentConfig.with_call(messages.GetAgentConfigRequest(agent_id="a", options=options))
        assert call.code() == CODE.OK and reply.config.description == "first"
        assert reply.metadata.etag and reply.metadata.epoch and reply.metadata.observed_revision >= newest
        again = messages.GetAgentConfigRequest(
            agent_id="a", options=messages.LookupOptions(if_none_match=reply.metadata.etag))
        assert stub.GetAgentConfig(again).metadata.not_modified

        request = messages.GetPromptRequest(agent_id="a", options=options)
        assert stub.GetPrompt(request).prompt.content.template == "of a"
        staged = stub.GetPrompt(messages.GetPromptRequest(prompt_id="a-prompt", variant=messages.PROMPT_VARIANT_STAGED))
        assert staged.prompt.content.template == "staged of a" and staged.variant == messages.PROMPT_VARIANT_STAGED

        source = stub.GetSourceConfig(messages.GetSourceConfigRequest(ai_agent_id="a", options=options))
        assert source.config.source_id == "s1" and list(source.other_source_ids) == ["s2"]
        assert stub.GetSourceConfig(messages.GetSourceConfigRequest(container="c")).config.source_id == "s1"
        blob = stub.ResolveBlob(messages.ResolveBlobRequest(container="c", path="in/monday/one.json"))
        assert blob.config.source_id == "s1" and dict(blob.fields) == {"day": "monday", "name": "one"}

        assert [row.agent_id for row in stub.ListAgentConfigs(messages.ListAgentConfigsRequest()).summaries] == ["a"]
        assert [row.staged_version for row in stub.ListPrompts(messages.ListPromptsRequest()).summaries] == ["1.1.0"]
        page = stub.ListSourceConfigs(messages.ListSourceConfigsRequest(page_size=1))
        assert page.total_count == 2 and page.summaries[0].source_id == "s1"
        page = stub.ListSourceConfigs(messages.ListSourceConfigsRequest(page_size=1, page_token=page.next_page_token))
        assert page.summaries[0].source_id == "s2" and not page.next_page_token

        status = stub.GetCacheStatus(messages.GetCacheStatusRequest())
        assert status.agent_config.cache_size == 1 and status.source_config.cache_valid

    with bench.channel() as channel:
        admin = admin_services.ConfigLookupAdminStub(channel)
        reply = admin.InvalidateCache(admin_messages.InvalidateCacheRequest(entity=messages.ENTITY_PROMPT))
        assert list(reply.entities) == [messages.ENTITY_PROMPT]
        watch = Gathering(services.ConfigLookupStub(channel).WatchInvalidations(
            messages.WatchInvalidationsRequest(include_values=True, keys=["a"])))
        first = watch.wait("the first PROGRESS")[0]
        assert first.kind == messages.NOTICE_KIND_PROGRESS
        revision = bench.put_agent("a", "second")
        notice = watch.wait("the change", lambda notices: len(notices) > 1 and notices[1])
        assert notice.kind == messages.NOTICE_KIND_UPSERT and notice.agent_config.description == "second"
        # The operation time of the write's reply may be later than the write, because of other commands.
        assert first.revision < notice.revision <= revision, f"{first.revision} {notice.revision} {revision}"
        assert notice.cache_key == "agent_config:a"
        bench.delete("agents", "a:1.0.0")
        notice = watch.wait("the end of the key", lambda notices: len(notices) > 2 and notices[2])
        assert notice.kind == messages.NOTICE_KIND_DELETE


def statuses(bench):
    bench.put_agent("a")
    with bench.stub() as stub, bench.channel() as channel:
        get = stub.GetAgentConfig
        poll("the agent is there", lambda: stub.ListAgentConfigs(messages.ListAgentConfigsRequest()).total_count)
        epoch = stub.GetCacheStatus(messages.GetCacheStatusRequest()).epoch

        with fails(CODE.NOT_FOUND, '"nobody"') as seen:
            get(messages.GetAgentConfigRequest(agent_id="nobody"))
        assert trailer(seen["error"], "configlookup-epoch") == epoch
        assert int(trailer(seen["error"], "configlookup-observed-revision")) > 0
        # Text that is not ASCII arrives unchanged.
        with fails(CODE.NOT_FOUND, '"ключ 100% 🗝"'):
            get(messages.GetAgentConfigRequest(agent_id="ключ 100% 🗝"))

        for request in [
            messages.GetAgentConfigRequest(), messages.GetAgentConfigRequest(agent_id="a" * 257),
            messages.GetAgentConfigRequest(agent_id="a\0b"),
        ]:
            with fails(CODE.INVALID_ARGUMENT, "agent_id") as seen:
                get(request)
            status = rpc_status.from_call(seen["error"])
            detail = error_details_pb2.BadRequest()
            assert status.code == CODE.INVALID_ARGUMENT.value[0] and status.details[1].Unpack(detail)
            assert detail.field_violations[0].field == "agent_id", detail
        raw = channel.unary_unary("/configlookup.v1.ConfigLookup/GetAgentConfig")
        with fails(CODE.INVALID_ARGUMENT, "agent_id"):
            raw(b"\x0a\x02\xc3\x28")
        with fails(CODE.INVALID_ARGUMENT):
            raw(b"\x0a\x7f")
        with fails(CODE.INVALID_ARGUMENT, "subject"):
            stub.GetPrompt(messages.GetPromptRequest(agent_id="a", variant=messages.PROMPT_VARIANT_AB_TEST))
        with fails(CODE.INVALID_ARGUMENT, "page_token"):
            stub.ListPrompts(messages.ListPromptsRequest(page_token="none of ours"))
        with fails(CODE.INVALID_ARGUMENT, "progress_interval_ms"):
            list(stub.WatchInvalidations(messages.WatchInvalidationsRequest(progress_interval_ms=1)))

        for path in ["/configlookup.v1.ConfigLookup/GetWeather", "/weather.v1.Weather/GetPrompt", "/x"]:
            with fails(CODE.UNIMPLEMENTED):
                channel.unary_unary(path)(b"")
        with fails(CODE.RESOURCE_EXHAUSTED):
            raw(b"\x0a" + b"\x80\x80\x08" + b"a" * (128 * 1024))
        with fails(CODE.UNIMPLEMENTED):
            get(messages.GetAgentConfigRequest(agent_id="a"), compression=grpc.Compression.Gzip)

        far = messages.GetAgentConfigRequest(
            agent_id="a", options=messages.LookupOptions(min_revision=(int(time.time()) + 30) << 32))
        with fails(CODE.FAILED_PRECONDITION, "epoch"):
            get(messages.GetAgentConfigRequest(
                agent_id="a", options=messages.LookupOptions(min_revision=1, epoch="another")))
        with fails(CODE.DEADLINE_EXCEEDED):
            get(far, timeout=0.3)
        with fails(CODE.UNAVAILABLE, "min_revision") as seen:
            get(far, timeout=20)
        assert get(messages.GetAgentConfigRequest(agent_id="a")).config.agent_id == "a"


def framed_reply(address, method, request):
    """Makes one call over the framed protocol and returns its reply."""
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=30) as connection:
        frame = frame_pb2.Frame(call_id=1, call=frame_pb2.Call(method=method, request=request)).SerializeToString()
        connection.sendall(struct.pack(">I", len(frame)) + frame)
        with connection.makefile("rb") as stream:
            (length,) = struct.unpack(">I", stream.read(4))
            return frame_pb2.Frame.FromString(stream.read(length)).reply


def same_details(bench, method, request, reason, *kinds):
    """Requires one error, with the same bytes in its details, over both protocols; returns its details."""
    with bench.channel() as channel:
        try:
            # A stream of replies ends with its error, too.
            list(channel.unary_stream("/configlookup.v1.ConfigLookup/" + method)(request.SerializeToString()))
            raise AssertionError(f"{method} answers {request}")
        except grpc.RpcError as error:
            status = rpc_status.from_call(error)
    reply = framed_reply(bench.addresses[0], method, request.SerializeToString())
    assert (reply.status, reply.message) == (status.code, status.message), f"{reply} {status}"
    assert [detail.SerializeToString() for detail in reply.details] == [
        detail.SerializeToString() for detail in status.details], f"{reply} {status}"
    info = error_details_pb2.ErrorInfo()
    assert reply.details[0].Unpack(info) and (info.domain, info.reason) == ("configlookup.v1", reason), info
    found = [info]
    for kind, detail in zip(kinds, reply.details[1:], strict=True):
        found.append(kind())
        assert detail.Unpack(found[-1]), detail
    return found


def error_details(bench):
    get = messages.GetAgentConfigRequest
    _, request = same_details(bench, "GetAgentConfig", get(), "INVALID_FIELD", error_details_pb2.BadRequest)
    assert [(one.field, one.description) for one in request.field_violations] == [("agent_id", "is empty")]
    same_details(bench, "GetAgentConfig", get(agent_id="nobody"), "KEY_NOT_FOUND")
    _, request = same_details(
        bench, "WatchInvalidations", messages.WatchInvalidationsRequest(selectors=["weather"]), "UNKNOWN_SELECTOR",
        error_details_pb2.BadRequest)
    assert request.field_violations[0].field == "selectors.0"
    with bench.stub() as stub:
        epoch = stub.GetCacheStatus(messages.GetCacheStatusRequest()).epoch
    options = messages.LookupOptions(min_revision=1, epoch="another")
    (info,) = same_details(bench, "GetAgentConfig", get(agent_id="a", options=options), "EPOCH_MISMATCH")
    assert dict(info.metadata) == {"epoch": epoch}
    # Clients limit the headers of a reply; the message, which is in them twice, does not grow with the request.
    long = messages.ResolveBlobRequest(container="c", path="\u20ac" * 1300)
    same_details(bench, "ResolveBlob", long, "KEY_NOT_FOUND")


def not_warm(bench):
    """Runs on a server whose database is not running. The bench has no database either."""
    _, retry = same_details(
        bench, "GetAgentConfig", messages.GetAgentConfigRequest(agent_id="a"), "NOT_READY",
        error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1
    with bench.stub() as stub:
        with fails(CODE.UNAVAILABLE, "not ready"):
            stub.GetAgentConfig(messages.GetAgentConfigRequest(agent_id="a"))
        with fails(CODE.UNAVAILABLE, "not ready"):
            list(stub.WatchInvalidations(messages.WatchInvalidationsRequest()))
        assert not stub.GetCacheStatus(messages.GetCacheStatusRequest()).agent_config.cache_valid


def cancelled_watch(bench):
    """The server releases cancelled watches: after a thousand of them, one after the other, the next one works."""
    with bench.stub() as stub:
        for _ in range(1000):
            call = stub.WatchInvalidations(messages.WatchInvalidationsRequest())
            assert next(call).kind == messages.NOTICE_KIND_PROGRESS
            call.cancel()
        with fails(CODE.CANCELLED):
            next(call)
        # A deadline also ends a watch.
        with fails(CODE.DEADLINE_EXCEEDED):
            list(stub.WatchInvalidations(messages.WatchInvalidationsRequest(), timeout=0.3))
        watch = Gathering(stub.WatchInvalidations(messages.WatchInvalidationsRequest()))
        watch.wait("the first PROGRESS")
        bench.put_agent("a")
        watch.wait("the change", lambda notices: len(notices) > 1)
        watch.call.cancel()
        assert watch.wait_for_end().code() == CODE.CANCELLED


def large_reply(bench):
    text = "".join(chr(0x4E00 + index % 20_000) for index in range(1024 * 1024))
    revision = bench.put_prompt("a", text)
    options = messages.LookupOptions(min_revision=revision)
    with bench.stub() as stub:
        for _ in range(5):
            reply = stub.GetPrompt(messages.GetPromptRequest(agent_id="a", options=options))
            assert reply.ByteSize() > 3 * 1024 * 1024 and reply.prompt.content.template == text
        # Several large replies and a small one at once.
        large = [stub.GetPrompt.future(messages.GetPromptRequest(agent_id="a")) for _ in range(8)]
        assert stub.GetCacheStatus(messages.GetCacheStatusRequest()).prompt.cache_size == 1
        assert all(future.result().prompt.content.template == text for future in large)
        notices = stub.WatchInvalidations(
            messages.WatchInvalidationsRequest(send_initial_state=True, include_values=True))
        assert next(notice for notice in notices if notice.key == "a").prompt.content.template == text
        notices.cancel()


def thousand_streams(bench):
    """Opens a thousand watches on one channel. Each receives a change, and lookups still work."""
    bench.put_agent("a", "before")
    with bench.stub() as stub:
        told = [threading.Event() for _ in range(1000)]
        begun = [threading.Event() for _ in range(1000)]
        calls = [stub.WatchInvalidations(messages.WatchInvalidationsRequest(include_values=True)) for _ in told]

        def read(index):
            try:
                for notice in calls[index]:
                    if notice.kind == messages.NOTICE_KIND_PROGRESS:
                        begun[index].set()
                    elif notice.agent_config.description == "after":
                        told[index].set()
            except grpc.RpcError:
                pass

        threads = [threading.Thread(target=read, args=(index,), daemon=True) for index in range(len(calls))]
        for thread in threads:
            thread.start()
        poll("every stream has begun", lambda: all(event.is_set() for event in begun), 60)
        bench.put_agent("a", "after")
        poll("every stream is told", lambda: all(event.is_set() for event in told), 60)
        assert stub.GetAgentConfig(messages.GetAgentConfigRequest(agent_id="a")).config.description == "after"
        for call in calls:
            call.cancel()
        for thread in threads:
            thread.join(20)
        assert stub.GetAgentConfig(messages.GetAgentConfigRequest(agent_id="a")).config.description == "after"


def connection_age(bench):
    """Runs on a server with a maximum connection age of a second. No unary call fails, and a watch is resumed."""
    from watch import Subscriber

    subscriber = Subscriber(bench.addresses[:1], progress_interval_ms=50)
    count = {"ends": 0, "notices": 0}

    def follow():
        for notice in subscriber.notices():
            count["ends"] += notice.reason == "draining"
            count["notices"] += 1

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    poll("the watch has begun", lambda: subscriber.position)
    with bench.stub() as stub:
        number = 0
        end = time.monotonic() + 30
        while count["ends"] < 3:
            assert time.monotonic() < end, count
            revision = bench.put_agent(f"a{number % 10}", f"{number}")
            options = messages.LookupOptions(min_revision=revision)
            request = messages.GetAgentConfigRequest(agent_id=f"a{number % 10}", options=options)
            assert stub.GetAgentConfig(request).config.description == f"{number}"
            number += 1
        poll("the watch has come to the last write", lambda: subscriber.position >= revision)
        assert_holds_all(bench, subscriber)
    subscriber.close()
    thread.join(20)
    assert not thread.is_alive()


def drain_of_one_server(bench):
    """Two servers, a writer, a subscriber of both and a caller. One server is drained, and no change is lost."""
    from watch import Subscriber

    subscriber = Subscriber(bench.addresses, progress_interval_ms=50)
    seen = []
    thread = threading.Thread(target=lambda: seen.extend(map(summary, subscriber.notices())), daemon=True)
    thread.start()
    poll("the watch has begun", lambda: subscriber.position)
    # A client with both addresses, as DNS would return them.
    target = "ipv4:" + ",".join(bench.addresses)
    channel = grpc.insecure_channel(target, options=[("grpc.lb_policy_name", "round_robin")])
    stub = services.ConfigLookupStub(channel)
    stub.GetCacheStatus(messages.GetCacheStatusRequest(), wait_for_ready=True)

    last = 0
    for number in range(300):
        if number == 100:
            bench.drain(0)
        if number % 7 == 3:
            last = bench.delete("agents", f"a{number % 20}:1.0.0")
        else:
            last = bench.put_agent(f"a{number % 20}", f"{number}")
        code = caught(lambda: stub.GetCacheStatus(messages.GetCacheStatusRequest(), wait_for_ready=True, timeout=20))
        assert code is None, code
    poll("the watch has come to the last write", lambda: subscriber.position >= last)
    assert_holds_all(bench, subscriber)
    assert any(reason == "draining" for _, reason in seen), "the drained server said so"
    assert not any(kind == messages.NOTICE_KIND_RESYNC for kind, _ in seen), "and the other one knew what was missing"
    subscriber.close()
    thread.join(20)
    channel.close()


def summary(notice):
    return notice.kind, notice.reason


def caught(call):
    try:
        call()
    except grpc.RpcError as error:
        return f"{error.code()}: {error.details()}"


def assert_holds_all(bench, subscriber):
    """The subscriber's state must be equal to the collection."""
    stored = {f"agent_config:{row['agent_id']}": row["description"] for row in bench.database.agents.find()}
    held = {key: notice.agent_config.description for key, notice in subscriber.held.items()}
    assert held == stored, (held, stored)


def metadata(bench):
    """Metadata of a client, known or unknown to the server, does not affect a call."""
    bench.put_agent("a")
    with bench.stub() as stub:
        poll("the agent is there", lambda: stub.ListAgentConfigs(messages.ListAgentConfigsRequest()).total_count)
        along = [("x-request-id", "7"), ("trace-bin", bytes(range(256))), ("x-many", "1"), ("x-many", "2")]
        reply, call = stub.GetAgentConfig.with_call(
            messages.GetAgentConfigRequest(agent_id="a"), metadata=along, timeout=5)
        assert reply.config.agent_id == "a" and call.code() == CODE.OK
        with fails(CODE.RESOURCE_EXHAUSTED):
            stub.GetAgentConfig(messages.GetAgentConfigRequest(agent_id="a"), metadata=[("x-large", "a" * 12_000)])
        assert stub.GetAgentConfig(messages.GetAgentConfigRequest(agent_id="a")).config.agent_id == "a"


if __name__ == "__main__":
    main(globals())
