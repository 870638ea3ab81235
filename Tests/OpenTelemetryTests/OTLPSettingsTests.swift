import Core
import Network
import OpenTelemetry
import Testing

struct OTLPSettingsTests {
  private static let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

  private func settings(_ environment: [String: String]) throws(UsageError) -> OTLPSettings? {
    try OTLPSettings(environment: environment, serviceName: "config-lookup")
  }

  @Test func nothingIsSentWithoutAnEndpointOrWhereItIsSwitchedOff() throws {
    #expect(try settings([:]) == nil)
    #expect(try settings([Self.endpoint: ""]) == nil)
    let on = [Self.endpoint: "http://collector:4318"]
    #expect(try settings(on) != nil)
    #expect(try settings(on.merging(["OTEL_SDK_DISABLED": "true"]) { $1 }) == nil)
    #expect(try settings(on.merging(["OTEL_METRICS_EXPORTER": "none"]) { $1 }) == nil)
    #expect(try settings(on.merging(["OTEL_METRICS_EXPORTER": "otlp"]) { $1 }) != nil)
  }

  @Test(arguments: [
    ("http://collector:4318", "http://collector:4318/v1/metrics"),
    ("http://collector:4318/", "http://collector:4318/v1/metrics"),
    ("http://collector/otlp", "http://collector:80/otlp/v1/metrics"),
    ("http://[::1]:4318", "http://[::1]:4318/v1/metrics"),
    ("http://[::1]", "http://[::1]:80/v1/metrics"),
  ]) func theEndpointOfAllSignalsGetsAPath(url: String, target: String) throws {
    #expect(try settings([Self.endpoint: url])?.target == target)
  }

  @Test func theEndpointOfMetricsIsTakenAsItIsAndWins() throws {
    let found = try settings([
      Self.endpoint: "http://a:1", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://b:2/in",
    ])
    #expect(found?.target == "http://b:2/in")
  }

  @Test func whoExportsHowAndHowOften() throws {
    let found = try #require(
      try settings([
        Self.endpoint: "http://c:1", "OTEL_SERVICE_NAME": "mine",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=theirs, deployment.environment=a%20b",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20x,y=z", "OTEL_EXPORTER_OTLP_TIMEOUT": "1500",
        "OTEL_METRIC_EXPORT_INTERVAL": "250", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
      ]))
    #expect(found.resource.map(\.name) == ["service.name", "service.instance.id", "deployment.environment"])
    #expect(found.resource[0].value == "mine" && found.resource[2].value == "a b")
    #expect(found.headers.map(\.name) == ["authorization", "y"] && found.headers.map(\.value) == ["Bearer x", "z"])
    #expect(found.timeoutSeconds == 1.5 && found.intervalSeconds == 0.25)
    let usual = try #require(try settings([Self.endpoint: "http://c:1"]))
    #expect(usual.resource.first?.value == "config-lookup" && usual.intervalSeconds == 60)
    #expect(try settings([Self.endpoint: "http://c:1"])?.resource != usual.resource, "no two instances are the same")
  }

  @Test(arguments: [
    (endpoint, "https://collector:4318", "https"),
    (endpoint, "collector:4318", "http://HOST:4318"),
    (endpoint, "http://", "no host"),
    (endpoint, "http://u:s3cret@c:1", "OTEL_EXPORTER_OTLP_HEADERS"),
    (endpoint, "http://c:1/a b", "path"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "name=value"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0d%0as3cret", "name=value"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "soon", "milliseconds"),
  ]) func mistakesAreNamed(variable: String, value: String, part: String) {
    let error = #expect(throws: UsageError.self) {
      try settings([Self.endpoint: "http://c:1"].merging([variable: value]) { $1 })
    }
    let message = error?.message ?? ""
    #expect(message.hasPrefix("\(variable): ") && message.contains(part) && !message.contains("s3cret"), "\(message)")
  }
}
