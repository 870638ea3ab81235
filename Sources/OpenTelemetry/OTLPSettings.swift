public import Core
public import Network

/// Where metrics are sent to by OTLP, and as whose: what OpenTelemetry's environment variables say.
///
/// https://opentelemetry.io/docs/specs/otel/protocol/exporter/
public struct OTLPSettings: Sendable, Hashable {
  /// A header of each request, or an attribute of the resource.
  public struct Pair: Sendable, Hashable {
    public let name: String
    public let value: String
  }

  public internal(set) var address: HostAndPort
  public internal(set) var path: String
  public internal(set) var headers: [Pair] = []
  /// Who exports, `service.name` and `service.instance.id` first.
  public internal(set) var resource: [Pair] = []
  public internal(set) var intervalSeconds = 60.0
  public internal(set) var timeoutSeconds = 10.0

  /// For people.
  public var target: String { "http://\(address)\(path)" }

  /// Nil where nothing is to be exported. Throws what is wrong, by variable.
  public init?(environment: [String: String], serviceName: String) throws(UsageError) {
    let variables = Variables(environment)
    guard variables["OTEL_SDK_DISABLED"]?.lowercased() != "true" else { return nil }
    if let exporters = variables["OTEL_METRICS_EXPORTER"], !exporters.split(separator: ",").contains("otlp") {
      return nil
    }
    guard let (name, url) = variables.first(of: "ENDPOINT") else { return nil }
    (address, path) = try Self.endpoint(url, name)
    // The general one is where all signals go.
    if name == "OTEL_EXPORTER_OTLP_ENDPOINT" { path += path.hasSuffix("/") ? "v1/metrics" : "/v1/metrics" }
    if let (name, value) = variables.first(of: "PROTOCOL"), value != "http/protobuf" {
      throw UsageError("\(name): \(value) is not spoken here; http/protobuf is, at a collector's port 4318")
    }
    if let (name, value) = variables.first(of: "HEADERS") { headers = try Self.pairs(value, name) }
    if let (name, value) = variables.first(of: "TIMEOUT") { timeoutSeconds = try Self.milliseconds(value, name) }
    let interval = "OTEL_METRIC_EXPORT_INTERVAL"
    if let value = variables[interval] { intervalSeconds = try Self.milliseconds(value, interval) }
    let attributes = "OTEL_RESOURCE_ATTRIBUTES"
    let given = try variables[attributes].map { text throws(UsageError) in try Self.pairs(text, attributes) } ?? []
    let service =
      variables["OTEL_SERVICE_NAME"] ?? given.last { $0.name == "service.name" }?.value ?? serviceName
    // Replicas of one name are told apart by the instance, which OpenTelemetry would have at random.
    let instance = given.last { $0.name == "service.instance.id" }?.value ?? randomText()
    resource =
      [Pair(name: "service.name", value: service), Pair(name: "service.instance.id", value: instance)]
      + given.filter { $0.name != "service.name" && $0.name != "service.instance.id" }
  }

  /// `http://HOST[:PORT][/PATH]`.
  private static func endpoint(_ url: String, _ name: String) throws(UsageError) -> (HostAndPort, path: String) {
    if url.lowercased().hasPrefix("https://") {
      throw UsageError("\(name): https is not spoken here; send to a collector beside this server, by http")
    }
    guard url.lowercased().hasPrefix("http://") else {
      throw UsageError("\(name): \(url) is no URL of the form http://HOST:4318")
    }
    let rest = url.dropFirst("http://".count)
    let authority = rest.prefix { $0 != "/" }
    // What stands before an @ may be a password.
    guard !authority.contains("@") else {
      throw UsageError("\(name): no user in the URL; credentials go into OTEL_EXPORTER_OTLP_HEADERS")
    }
    let path = String(rest.dropFirst(authority.count))
    guard path.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
      throw UsageError("\(name): a path with characters that a URL does not have")
    }
    let hasPort = authority.suffix(from: authority.lastIndex(of: "]") ?? authority.startIndex).contains(":")
    do throws(NetworkError) {
      let address = try HostAndPort(hasPort ? String(authority) : "\(authority):80")
      if !address.host.isEmpty, address.port > 0 { return (address, path.isEmpty ? "/" : path) }
    } catch {
      throw UsageError("\(name): \(error.message)")
    }
    throw UsageError("\(name): \(url): no host, or port 0")
  }

  /// `name=value,name=value`, values percent-encoded, as W3C's baggage has them.
  private static func pairs(_ text: String, _ name: String) throws(UsageError) -> [Pair] {
    var pairs: [Pair] = []
    for part in text.split(separator: ",") {
      // The part itself may be a secret.
      guard let equals = part.firstIndex(of: "="), let value = decoded(trimmed(part[part.index(after: equals)...])),
        let key = decoded(trimmed(part[..<equals])), !key.isEmpty
      else { throw UsageError("\(name): not of the form name=value,name=value, with values percent-encoded") }
      pairs.append(Pair(name: key, value: value))
    }
    return pairs
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return text
  }

  /// Nil for what is not UTF-8 or has a control in it: a header would end early.
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

  private static func milliseconds(_ text: String, _ name: String) throws(UsageError) -> Double {
    guard let number = Int(text), (1...86_400_000).contains(number) else {
      throw UsageError("\(name): \(text) is not a number of milliseconds from 1 to 86400000")
    }
    return Double(number) / 1000
  }
}

private func randomText() -> String {
  (0..<2).map { _ in String(UInt64.random(in: .min ... .max), radix: 36) }.joined()
}

/// The environment, in which an empty variable is none.
private struct Variables {
  private let all: [String: String]

  init(_ environment: [String: String]) {
    all = environment
  }

  subscript(name: String) -> String? {
    all[name].flatMap { $0.isEmpty ? nil : $0 }
  }

  /// The variable for metrics, or else the one for all signals.
  func first(of suffix: String) -> (name: String, value: String)? {
    for name in ["OTEL_EXPORTER_OTLP_METRICS_\(suffix)", "OTEL_EXPORTER_OTLP_\(suffix)"] {
      if let value = self[name] { return (name, value) }
    }
    return nil
  }
}
