# SPDX-License-Identifier: Apache-2.0
"""TLS, certificates and tokens, with grpcio as the client."""

import hashlib
import socket
import ssl
import warnings

from bench import *
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

CODE = grpc.StatusCode
AGENT = messages.GetAgentConfigRequest(agent_id="a")
PROMPT = messages.GetPromptRequest(agent_id="a")
WATCH = messages.WatchInvalidationsRequest


def read(path):
    return pathlib.Path(path).read_bytes()


def channel(bench, token=None, identity=None, authority="authority"):
    """Opens a channel over TLS, optionally with a token and a client certificate."""
    key, chain = (read(SETTING[identity + suffix]) for suffix in ("_key", "_certificate")) if identity else (None, None)
    credentials = grpc.ssl_channel_credentials(read(SETTING[authority]), key, chain)
    if token:
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
    options = [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
    return grpc.secure_channel(bench.addresses[0], credentials, options)


def stub(bench, name=None, **more):
    return services.ConfigLookupStub(channel(bench, SETTING["tokens"].get(name, name), **more))


def write_credentials(rights):
    lines = [
        f"{name} sha256:{hashlib.sha256(SETTING['tokens'][name].encode()).hexdigest()} {words}"
        for name, words in rights.items()
    ]
    path = pathlib.Path(SETTING["credentials"])
    new = path.with_suffix(".new")
    new.write_text("\n".join(lines))
    new.rename(path)


def tokens(bench):
    bench.put_agent("a")
    every = stub(bench, "all")
    poll("the agent", lambda: every.ListAgentConfigs(messages.ListAgentConfigsRequest()).total_count)
    assert every.GetAgentConfig(AGENT).config.agent_id == "a"

    for stranger in stub(bench), stub(bench, "nobody"):
        with fails(CODE.UNAUTHENTICATED, "authorization"):
            stranger.GetAgentConfig(AGENT)
        with fails(CODE.UNAUTHENTICATED):
            stranger.ListPrompts(messages.ListPromptsRequest())
        with fails(CODE.UNAUTHENTICATED):
            stranger.GetCacheStatus(messages.GetCacheStatusRequest())
        with fails(CODE.UNAUTHENTICATED):
            list(stranger.WatchInvalidations(WATCH()))

    agents = stub(bench, "agents")
    assert agents.GetAgentConfig(AGENT).config.agent_id == "a"
    with fails(CODE.PERMISSION_DENIED, "read:prompt"):
        agents.GetPrompt(PROMPT)
    with fails(CODE.PERMISSION_DENIED, "read:prompt"):
        agents.ListPrompts(messages.ListPromptsRequest())
    with fails(CODE.PERMISSION_DENIED, "read:prompt"):
        list(agents.WatchInvalidations(WATCH(entities=[messages.ENTITY_PROMPT])))
    status = agents.GetCacheStatus(messages.GetCacheStatusRequest())
    assert status.HasField("agent_config") and not status.HasField("prompt")
    with channel(bench, SETTING["tokens"]["agents"]) as own:
        with fails(CODE.PERMISSION_DENIED, "admin"):
            admin_services.ConfigLookupAdminStub(own).InvalidateCache(admin_messages.InvalidateCacheRequest())

    # A watch of all entities is restricted to the entities that the client may read.
    watch = Gathering(agents.WatchInvalidations(WATCH()))
    watch.wait("the first PROGRESS")
    bench.put_prompt("p")
    bench.put_agent("b")
    notices = watch.wait("the change", lambda notices: any(notice.key == "b" for notice in notices) and notices)
    assert not any(notice.entity == messages.ENTITY_PROMPT for notice in notices), notices

    # Health checks need no credential; reflection needs any valid one.
    with channel(bench) as plain:
        health = health_pb2_grpc.HealthStub(plain).Check(health_pb2.HealthCheckRequest())
        assert health.status == health_pb2.HealthCheckResponse.SERVING
        question = reflection_pb2.ServerReflectionRequest(list_services="")
        reflection = reflection_pb2_grpc.ServerReflectionStub(plain)
        with fails(CODE.UNAUTHENTICATED):
            next(reflection.ServerReflectionInfo(iter([question])))
    with channel(bench, SETTING["tokens"]["agents"]) as own:
        reflection = reflection_pb2_grpc.ServerReflectionStub(own)
        answer = next(reflection.ServerReflectionInfo(iter([question])))
        assert answer.list_services_response.service

    # The token is revoked, so the server must end the watch.
    write_credentials({"all": "read watch admin"})
    error = watch.wait_for_end()
    assert error.code() == CODE.UNAUTHENTICATED, error
    with fails(CODE.UNAUTHENTICATED):
        agents.GetAgentConfig(AGENT)
    assert every.GetAgentConfig(AGENT).config.agent_id == "a"


def refused_handshakes(bench):
    """The server must reject each invalid handshake, and serve the client with a valid certificate throughout."""
    bench.put_agent("a")
    good = stub(bench, identity="worker")
    poll("the agent", lambda: good.ListAgentConfigs(messages.ListAgentConfigsRequest()).total_count)
    for what in {}, {"identity": "foreign"}, {"identity": "expired"}, {"identity": "worker", "authority": "foreign_ca"}:
        with fails(CODE.UNAVAILABLE):
            stub(bench, **what).GetAgentConfig(AGENT, timeout=10)
        assert good.GetAgentConfig(AGENT).config.agent_id == "a"
    with fails(CODE.UNAVAILABLE), bench.stub() as plain:
        plain.GetAgentConfig(AGENT, timeout=10)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(SETTING["authority"])
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    host, port = bench.addresses[0].rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=10) as bare:
            old.wrap_socket(bare, server_hostname=host)
        raise AssertionError("TLS 1.1 was spoken")
    except ssl.SSLError:
        pass
    assert good.GetAgentConfig(AGENT).config.agent_id == "a"


def certificates_replaced_under_load(bench):
    """Opens connections continuously, each for one call, while the certificate is replaced repeatedly."""
    bench.put_agent("a")
    first = stub(bench, "all")
    poll("the agent", lambda: first.ListAgentConfigs(messages.ListAgentConfigsRequest()).total_count)
    watch = Gathering(first.WatchInvalidations(WATCH()))
    watch.wait("the first PROGRESS")
    failures, counts, over = [], [0, 0], threading.Event()

    def load(place):
        while not over.is_set():
            try:
                with channel(bench, SETTING["tokens"]["all"]) as own:
                    services.ConfigLookupStub(own).GetAgentConfig(AGENT, timeout=20)
                counts[place] += 1
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=load, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for certificate, key in SETTING["pairs"]:
        before = sum(counts)
        for source, target in (certificate, SETTING["server_certificate"]), (key, SETTING["server_key"]):
            new = pathlib.Path(target + ".new")
            new.write_bytes(read(source))
            new.rename(target)
        serial = ssl.PEM_cert_to_DER_cert(read(certificate).decode())
        host, port = bench.addresses[0].rsplit(":", 1)
        poll("the new certificate", lambda: ssl.PEM_cert_to_DER_cert(
            ssl.get_server_certificate((host, int(port)))) == serial)
        poll("calls since", lambda: sum(counts) > before + 10)
    over.set()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]
    bench.put_agent("b")
    watch.wait("the old connection lives", lambda notices: len(notices) > 1)
    print(f"{sum(counts)} connections, {len(SETTING['pairs'])} certificates, none failed")


if __name__ == "__main__":
    main(globals())
