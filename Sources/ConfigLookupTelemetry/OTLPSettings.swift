// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupNetwork

/// The settings of the OTLP exporter, from OpenTelemetry's environment variables: endpoint, headers, resource and
/// interval.
///
/// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
public struct OTLPSettings: Sendable, Hashable {
  /// A header of each request, or an attribute of the resource.
  public struct Pair: Sendable, Hashable {
    /// The name of the header or attribute.
    public let name: String
    /// The value of the header or attribute.
    public let value: String
  }

  /// The address of the collector.
  public internal(set) var address: HostAndPort
  /// The path of the endpoint.
  public internal(set) var path: String
  /// The headers of each request.
  public internal(set) var headers: [Pair] = []
  /// The attributes of the resource; the first are `service.name` and `service.instance.id`.
  public internal(set) var resource: [Pair] = []
  /// The interval of exports.
  public internal(set) var interval = Duration.seconds(60)
  /// The timeout of an export.
  public internal(set) var timeout = Duration.seconds(10)

  /// The URL of the endpoint, for log lines.
  public var target: String { "http://\(address)\(path)" }

  /// Reads OpenTelemetry's environment variables as its specification requires: an empty variable is unset,
  /// enumerations and booleans are case-insensitive, and a value that is not understood is ignored with a warning. Nil
  /// if nothing is to be exported.
  ///
  /// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
  ///
  /// - Parameters:
  ///   - environment: the environment variables.
  ///   - serviceName: the name of the service if no variable gives it.
  ///   - warnings: receives a sentence for each variable that is ignored, entirely or in part.
  /// - Throws: ``UsageError`` that names the variable, if the endpoint, the protocol or the headers are invalid.
  public init?(
    environment: [String: String], serviceName: String, warnings: inout [String]
  ) throws(UsageError) {
    var variables = try Variables(environment)
    defer { warnings += variables.warnings }
    guard !variables.isTrue("OTEL_SDK_DISABLED"), variables.wantsOTLP() else { return nil }
    guard let (name, url) = variables.first(of: "ENDPOINT") else { return nil }
    (address, path) = try Self.endpoint(url, name)
    // The general variable names the endpoint of all signals.
    if name == "OTEL_EXPORTER_OTLP_ENDPOINT" { path += path.hasSuffix("/") ? "v1/metrics" : "/v1/metrics" }
    if let (name, value) = variables.first(of: "PROTOCOL") {
      switch value.lowercased() {
      case "http/protobuf": break
      case "grpc", "http/json":
        throw UsageError("\(name): \(value) is not supported; use http/protobuf, port 4318 of a collector")
      default: variables.warn(name, "\(value) is not a protocol of OTLP; it is ignored, and http/protobuf is used")
      }
    }
    if let (name, value) = variables.first(of: "HEADERS") {
      guard let pairs = Self.pairs(value), pairs.allSatisfy({ Self.isHeaderName($0.name) }) else {
        throw UsageError("\(name): must have the form name=value,name=value, with values percent-encoded")
      }
      headers = pairs
    }
    if let (name, value) = variables.first(of: "TIMEOUT") {
      timeout = variables.duration(name, value) ?? timeout
    }
    let intervalName = "OTEL_METRIC_EXPORT_INTERVAL"
    if let value = variables[intervalName] { interval = variables.duration(intervalName, value) ?? interval }
    let attributes = "OTEL_RESOURCE_ATTRIBUTES"
    var given: [Pair] = []
    if let text = variables[attributes] {
      if let pairs = Self.pairs(text) {
        given = pairs
      } else {
        variables.warn(
          attributes, "must have the form name=value,name=value, with values percent-encoded; all of it is ignored")
      }
    }
    variables.warnOfOthers()
    let service =
      variables["OTEL_SERVICE_NAME"] ?? given.last { $0.name == "service.name" }?.value ?? serviceName
    // The instance distinguishes replicas with the same name. OpenTelemetry recommends a random value.
    let instance = given.last { $0.name == "service.instance.id" }?.value ?? randomText()
    resource =
      [Pair(name: "service.name", value: service), Pair(name: "service.instance.id", value: instance)]
      + given.filter { $0.name != "service.name" && $0.name != "service.instance.id" }
  }

  /// Parses `http://HOST[:PORT][/PATH]`.
  private static func endpoint(_ url: String, _ name: String) throws(UsageError) -> (HostAndPort, path: String) {
    if url.lowercased().hasPrefix("https://") {
      throw UsageError("\(name): https is not supported; use http to a collector on the same host")
    }
    guard url.lowercased().hasPrefix("http://") else {
      throw UsageError("\(name): \(url) is not a URL of the form http://HOST:4318")
    }
    let rest = url.dropFirst("http://".count)
    let authority = rest.prefix { $0 != "/" }
    // The text before an @ may be a password.
    guard !authority.contains("@") else {
      throw UsageError("\(name): the URL must not name a user; put credentials into OTEL_EXPORTER_OTLP_HEADERS")
    }
    let path = String(rest.dropFirst(authority.count))
    guard path.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw UsageError("\(name): the path has characters that are not valid in a URL")
    }
    let hasPort = authority.suffix(from: authority.lastIndex(of: "]") ?? authority.startIndex).contains(":")
    do throws(NetworkError) {
      let address = try HostAndPort(hasPort ? String(authority) : "\(authority):80")
      if !address.host.isEmpty, address.port > 0 { return (address, path.isEmpty ? "/" : path) }
    } catch {
      throw UsageError("\(name): \(error.message)")
    }
    throw UsageError("\(name): \(url): the host is missing, or the port is 0")
  }

  /// Parses `name=value,name=value` with percent-encoded values, the format of W3C baggage; an empty member is ignored.
  /// Nil for any other text, which is not repeated because it may be a secret.
  private static func pairs(_ text: String) -> [Pair]? {
    var pairs: [Pair] = []
    for part in text.split(separator: ",").map(trimmed) where !part.isEmpty {
      guard let equals = part.firstIndex(of: "="), let value = decoded(trimmed(part[part.index(after: equals)...])),
        let key = decoded(trimmed(part[..<equals])), !key.isEmpty
      else { return nil }
      pairs.append(Pair(name: key, value: value))
    }
    return pairs
  }

  /// Whether a name is a token, as RFC 9110 requires for the name of a header.
  private static func isHeaderName(_ name: String) -> Bool {
    name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
      default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
      }
    }
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return text
  }

  /// Decodes percent-encoding. Nil for text that is not UTF-8 or contains a control character, which could end a header
  /// early.
  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Substring(text).utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
        return nil
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else { return nil }
    return String(validating: bytes, as: UTF8.self)
  }
}

private func randomText() -> String {
  (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
}

/// OpenTelemetry's environment variables, of which empty ones are unset, and the warnings about them.
private struct Variables {
  private var all: [String: String] = [:]
  private(set) var warnings: [String] = []

  /// Reads the values by the rules of ``WrittenText``.
  init(_ environment: [String: String]) throws(UsageError) {
    for (name, text) in environment where name.hasPrefix("OTEL_") {
      do throws(WrittenTextProblem) {
        let value = try WrittenText.value(text)
        if !value.isEmpty { all[name] = value }
      } catch {
        // Variables of other signals are ignored.
        if Self.names.contains(name) { throw UsageError("\(name): \(error)") }
      }
    }
  }

  subscript(name: String) -> String? { all[name] }

  /// The variable for metrics, or else the one for all signals.
  func first(of suffix: String) -> (name: String, value: String)? {
    for name in ["OTEL_EXPORTER_OTLP_METRICS_\(suffix)", "OTEL_EXPORTER_OTLP_\(suffix)"] {
      if let value = self[name] { return (name, value) }
    }
    return nil
  }

  mutating func warn(_ name: String, _ problem: String) {
    warnings.append("\(name): \(problem)")
  }

  /// Only `true`, in any case, is true.
  mutating func isTrue(_ name: String) -> Bool {
    guard let value = self[name]?.lowercased(), value != "false" else { return false }
    if value != "true" { warn(name, "\(value) is neither true nor false; using false") }
    return value == "true"
  }

  /// Whether `OTEL_METRICS_EXPORTER`, a list, contains `otlp`. A list without a known name counts as unset.
  mutating func wantsOTLP() -> Bool {
    let name = "OTEL_METRICS_EXPORTER"
    guard let list = self[name] else { return true }
    var known: Set<String> = []
    for part in list.split(separator: ",") {
      guard let word = try? WrittenText.value(String(part)).lowercased(), !word.isEmpty else { continue }
      switch word {
      case "otlp", "none", "prometheus": known.insert(word)
      case "console", "logging":
        known.insert(word)
        warn(name, "\(word) is not supported; use otlp, prometheus (always at /metrics) or none")
      default: warn(name, "\(word) is not an exporter; it is ignored; use otlp, prometheus or none")
      }
    }
    return known.isEmpty || known.contains("otlp")
  }

  /// A number of milliseconds; nil, with a warning, for any other text.
  mutating func duration(_ name: String, _ text: String) -> Duration? {
    guard let number = Int(text), (1...86_400_000).contains(number) else {
      warn(name, "\(text) is not a number of milliseconds from 1 to 86400000; the default is used")
      return nil
    }
    return .milliseconds(number)
  }

  /// Warns of the variables of this exporter that are not supported.
  mutating func warnOfOthers() {
    for name in all.keys.sorted() where !Self.names.contains(name) {
      let isOurs =
        name.hasPrefix("OTEL_EXPORTER_OTLP_") && !name.hasPrefix("OTEL_EXPORTER_OTLP_TRACES_")
        && !name.hasPrefix("OTEL_EXPORTER_OTLP_LOGS_") || name.hasPrefix("OTEL_METRIC")
      guard isOurs else { continue }
      let near = nearestName(to: name, among: Self.names).map { " (did you mean \($0)?)" } ?? ""
      warn(name, "is not supported; it is ignored\(near)")
    }
  }

  /// The variables that are read.
  private static let names =
    ["ENDPOINT", "HEADERS", "TIMEOUT", "PROTOCOL"].flatMap {
      ["OTEL_EXPORTER_OTLP_\($0)", "OTEL_EXPORTER_OTLP_METRICS_\($0)"]
    } + [
      "OTEL_METRICS_EXPORTER", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SDK_DISABLED",
      "OTEL_SERVICE_NAME",
    ]
}
