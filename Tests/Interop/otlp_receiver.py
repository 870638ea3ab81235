# SPDX-License-Identifier: Apache-2.0
"""A receiver of OTLP over HTTP. It prints its port, and each export as a line of JSON.

The samples have the names that Prometheus would use, so that they can be compared with /metrics.
"""

import http.server
import json
import sys

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.metrics.v1 import metrics_pb2 as metrics

CUMULATIVE = metrics.AGGREGATION_TEMPORALITY_CUMULATIVE


def text(attribute):
    assert attribute.value.WhichOneof("value") == "string_value", attribute
    return attribute.key, attribute.value.string_value


def name(family, point, suffix="", **more):
    labels = [*map(text, point.attributes), *more.items()]
    inside = ",".join(f'{key}="{value}"' for key, value in labels)
    return family + suffix + (f"{{{inside}}}" if inside else "")


def samples(metric):
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    for point in data.data_points:
        assert 0 < point.start_time_unix_nano <= point.time_unix_nano, point
        if kind == "histogram":
            assert data.aggregation_temporality == CUMULATIVE
            assert len(point.bucket_counts) == len(point.explicit_bounds) + 1 and point.HasField("sum")
            assert sum(point.bucket_counts) == point.count
            count = 0
            for bound, inside in zip([*point.explicit_bounds, float("inf")], point.bucket_counts):
                count += inside
                yield name(metric.name, point, "_bucket", le="+Inf" if bound == float("inf") else bound), count
            yield name(metric.name, point, "_sum"), point.sum
            yield name(metric.name, point, "_count"), point.count
        else:
            assert kind == "gauge" or (data.is_monotonic and data.aggregation_temporality == CUMULATIVE), metric.name
            yield name(metric.name, point), getattr(point, point.WhichOneof("value"))


def shown(export, headers):
    (resource,) = export.resource_metrics
    (scope,) = resource.scope_metrics
    found = {}
    units = {}
    for metric in scope.metrics:
        assert metric.description, metric.name
        units[metric.name] = metric.unit
        for key, value in samples(metric):
            assert key not in found, f"twice: {key}"
            found[key] = value
    return {
        "resource": dict(map(text, resource.resource.attributes)), "scope": [scope.scope.name, scope.scope.version],
        "headers": {key.lower(): value for key, value in headers.items()}, "units": units, "samples": found,
    }


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            assert self.headers["content-type"] == "application/x-protobuf"
            line = {"path": self.path, **shown(service.ExportMetricsServiceRequest.FromString(body), self.headers)}
        except Exception as error:
            line = {"wrong": f"{type(error).__name__}: {error}"}
        print(json.dumps(line), flush=True)
        reply = service.ExportMetricsServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *arguments):
        pass


server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print("listening", server.server_port, flush=True)
server.serve_forever()
