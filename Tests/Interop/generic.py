# SPDX-License-Identifier: Apache-2.0
"""Health checks and reflection, with the client libraries of the gRPC project."""

import json

from bench import *
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

CODE = grpc.StatusCode
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
SERVICES = ["configlookup.v1.ConfigLookup", "configlookup.v1.ConfigLookupAdmin"]
NAMES = ["", *SERVICES, "agent_config", "prompt", "source_config"]


def health(bench):
    with bench.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in NAMES:
            assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING, name
        listed = stub.List(health_pb2.HealthListRequest()).statuses
        assert {name: reply.status for name, reply in listed.items()} == {name: SERVING for name in NAMES}
        with fails(CODE.NOT_FOUND, "weather"):
            stub.Check(health_pb2.HealthCheckRequest(service="weather"))
        unknown = Gathering(stub.Watch(health_pb2.HealthCheckRequest(service="weather")))
        assert unknown.wait("a status")[0].status == SERVICE_UNKNOWN
        watches = [Gathering(stub.Watch(health_pb2.HealthCheckRequest(service=name))) for name in NAMES]
        for watch in watches:
            assert watch.wait("a status")[0].status == SERVING
        assert not unknown.is_over
        bench.drain(0)
        for watch in watches:
            assert watch.wait_for_end() is None, watch.error
            assert [reply.status for reply in watch.replies] == [SERVING, NOT_SERVING]


def health_of_a_cold_server(bench):
    """The health of a server whose database is not running."""
    with bench.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in NAMES:
            assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == NOT_SERVING, name


def health_that_changes(bench):
    """The health of a server that starts, loads, and loses its database. Its maximum staleness is 2 s."""
    with bench.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = Gathering(stub.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True))
        watch.wait("SERVING", lambda replies: replies and replies[-1].status == SERVING)
        print("serving", flush=True)
        watch.wait("NOT_SERVING", lambda replies: len(replies) > 1 and replies[-1].status == NOT_SERVING)
        print("not serving", flush=True)
        watch.wait("SERVING", lambda replies: replies[-1].status == SERVING)


def health_aware_balancing(bench):
    """A client that checks health calls the healthy server, which is the second of two. The first is not warm."""
    config = json.dumps({
        "healthCheckConfig": {"serviceName": "configlookup.v1.ConfigLookup"},
        "loadBalancingConfig": [{"round_robin": {}}],
    })
    target = "ipv4:" + ",".join(bench.addresses)
    with grpc.insecure_channel(target, options=[("grpc.service_config", config)]) as channel:
        stub = services.ConfigLookupStub(channel)
        stub.ListAgentConfigs(messages.ListAgentConfigsRequest(), wait_for_ready=True, timeout=20)
        for _ in range(100):
            stub.ListAgentConfigs(messages.ListAgentConfigsRequest(), timeout=20)


def reflection(bench):
    """A client makes a lookup with descriptors that it gets by reflection only."""
    bench.put_agent("a", "found by reflection")
    with bench.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert set(database.get_services()) == {
            *SERVICES, "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
        }
        pool = descriptor_pool.DescriptorPool(database)
        method = pool.FindServiceByName("configlookup.v1.ConfigLookup").FindMethodByName("GetAgentConfig")
        request = message_factory.GetMessageClass(method.input_type)(agent_id="a")
        call = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )
        reply = poll("the agent is there", lambda: caught(lambda: call(request)))
        assert json_format.MessageToDict(reply)["config"]["description"] == "found by reflection"
        # The messages of every method of every service can be created.
        for service in database.get_services():
            for method in pool.FindServiceByName(service).methods:
                message_factory.GetMessageClass(method.input_type)()
                message_factory.GetMessageClass(method.output_type)()
        try:
            pool.FindMessageTypeByName("configlookup.v1.Nothing")
            raise AssertionError("there is no such message")
        except KeyError:
            pass


def caught(call):
    try:
        return call()
    except grpc.RpcError as error:
        assert error.code() == CODE.NOT_FOUND, error
        return None


def reflection_of_both_versions(bench):
    question = reflection_pb2.ServerReflectionRequest
    for version in ["v1", "v1alpha"]:
        with bench.channel() as channel:
            ask = channel.stream_stream(
                f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                request_serializer=question.SerializeToString,
                response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
            )
            # One stream replies to ten requests in order. The client sends them without waiting for the replies.
            symbols = [question(file_containing_symbol="configlookup.v1.Prompt"), question(file_by_filename="nothing")]
            replies = list(ask(iter(symbols * 5)))
            assert len(replies) == 10
            for index, reply in enumerate(replies):
                assert reply.original_request == symbols[index % 2]
                assert reply.HasField("error_response") == (index % 2 == 1)
            assert replies[1].error_response.error_code == CODE.NOT_FOUND.value[0]


def reflection_switched_off(bench):
    with bench.channel() as channel:
        with fails(CODE.UNIMPLEMENTED):
            stub = reflection_pb2_grpc.ServerReflectionStub(channel)
            list(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")])))
        assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest()).status == SERVING


if __name__ == "__main__":
    main(globals())
