// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupTelemetry
import Testing

struct OTLPSettingsTests {
  private static let endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"

  private func settings(_ environment: [String: String]) throws(UsageError) -> OTLPSettings? {
    var warnings: [String] = []
    return try OTLPSettings(environment: environment, serviceName: "config-lookup", warnings: &warnings)
  }

  private func warnings(_ environment: [String: String]) throws(UsageError) -> [String] {
    var warnings: [String] = []
    _ = try OTLPSettings(environment: environment, serviceName: "config-lookup", warnings: &warnings)
    return warnings
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
    #expect(found.timeout == .milliseconds(1500) && found.interval == .milliseconds(250))
    let usual = try #require(try settings([Self.endpoint: "http://c:1"]))
    #expect(usual.resource.first?.value == "config-lookup" && usual.interval == .seconds(60))
    #expect(try settings([Self.endpoint: "http://c:1"])?.resource != usual.resource, "no two instances are the same")
  }

  @Test(arguments: [
    (endpoint, "https://collector:4318", "https"),
    (endpoint, "collector:4318", "http://HOST:4318"),
    (endpoint, "http://", "the host is missing"),
    (endpoint, "http://u:s3cret@c:1", "OTEL_EXPORTER_OTLP_HEADERS"),
    (endpoint, "http://c:1/a b", "path"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "name=value"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0d%0as3cret", "name=value"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c", "name=value"),
    ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=b\0", "NUL"),
  ]) func mistakesAreNamed(variable: String, value: String, part: String) {
    let error = #expect(throws: UsageError.self) {
      try settings([Self.endpoint: "http://c:1"].merging([variable: value]) { $1 })
    }
    let message = error?.message ?? ""
    #expect(message.hasPrefix("\(variable): ") && message.contains(part) && !message.contains("s3cret"), "\(message)")
  }

  /// Lists, case and white space, as OpenTelemetry's specification defines them.
  @Test(arguments: [
    ("prometheus, otlp", true, ""), ("OTLP", true, ""), ("otlp ", true, ""), ("otlp\r\n", true, ""),
    (" ,otlp,,", true, ""), ("none", false, ""), ("None", false, ""), ("prometheus", false, ""), ("", true, ""),
    (" ", true, ""), ("console", false, "console is not supported"), ("otlp,console", true, "console"),
    ("oltp", true, "oltp is not an exporter"), ("prometheus,oltp", false, "oltp is not an exporter"),
  ]) func exporters(list: String, isSent: Bool, warning: String) throws {
    let environment = [Self.endpoint: "http://c:1", "OTEL_METRICS_EXPORTER": list]
    let found = try settings(environment)
    #expect((found != nil) == isSent)
    let said = try warnings(environment)
    #expect(said.count == (warning.isEmpty ? 0 : 1), "\(said)")
    #expect(said.allSatisfy { $0.hasPrefix("OTEL_METRICS_EXPORTER: ") && $0.contains(warning) }, "\(said)")
  }

  /// A value that is not understood is ignored with a warning that names its variable, as if it were not set.
  @Test(arguments: [
    ("OTEL_SDK_DISABLED", "yes", "neither true nor false"), ("OTEL_SDK_DISABLED", "1", "using false"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "soon", "milliseconds"), ("OTEL_METRIC_EXPORT_INTERVAL", "-1", "milliseconds"),
    ("OTEL_METRIC_EXPORT_INTERVAL", "1 000", "milliseconds"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "0", "milliseconds"),
    ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "1.5", "milliseconds"),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "htpp/protobuf", "not a protocol"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=b,c", "all of it is ignored"),
    ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz", "all of it is ignored"),
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip", "is not supported"),
    ("OTEL_EXPORTER_OTLP_METRIC_TIMEOUT", "5", "did you mean OTEL_EXPORTER_OTLP_METRICS_TIMEOUT"),
  ]) func whatIsNotUnderstoodIsIgnored(variable: String, value: String, part: String) throws {
    let environment = [Self.endpoint: "http://c:1", variable: value]
    let found = try #require(try settings(environment))
    #expect(found.interval == .seconds(60) && found.timeout == .seconds(10) && found.resource.count == 2)
    let said = try warnings(environment)
    #expect(said.count == 1 && said[0].hasPrefix("\(variable): ") && said[0].contains(part), "\(said)")
  }

  /// Every variable treats white space around a value, case, and an empty value, which is unset, in the same way.
  @Test func whiteSpaceAndCase() throws {
    let plain = [
      Self.endpoint: "http://c:1", "OTEL_EXPORTER_OTLP_HEADERS": "a=b,c=d", "OTEL_EXPORTER_OTLP_TIMEOUT": "1500",
      "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRIC_EXPORT_INTERVAL": "250",
      "OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=i,e=f", "OTEL_SERVICE_NAME": "s", "OTEL_SDK_DISABLED": "false",
    ]
    let wanted = try #require(try settings(plain))
    for (before, after) in [("", "\n"), ("", "\r\n"), (" ", "\t "), ("\u{feff}", "")] {
      let environment = plain.mapValues { before + $0 + after }
      let found = try settings(environment)
      let said = try warnings(environment)
      #expect(found == wanted && said == [], "\((before + "|" + after).debugDescription): \(said)")
    }
    let doubled = [
      "OTEL_EXPORTER_OTLP_HEADERS": "a=b,,c=d,", "OTEL_RESOURCE_ATTRIBUTES": ", service.instance.id=i ,,e = f",
    ]
    let upper = [
      Self.endpoint: "HTTP://c:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "HTTP/Protobuf", "OTEL_SDK_DISABLED": "FALSE",
    ]
    for changed in [doubled, upper] {
      let found = try settings(plain.merging(changed) { $1 })
      #expect(found == wanted, "\(changed)")
    }
    for name in plain.keys where name != Self.endpoint {
      for empty in ["", " \r\n"] {
        let said = try warnings(plain.merging([name: empty]) { $1 })
        #expect(said == [], "\(name)")
      }
    }
    let disabled = try settings(plain.merging(["OTEL_SDK_DISABLED": "True\n"]) { $1 })
    #expect(disabled == nil)
  }
}
