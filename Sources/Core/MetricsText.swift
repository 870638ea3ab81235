/// Metrics as Prometheus reads them: families, each with its help and type, and their samples.
///
/// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
public struct MetricsText: Sendable {
  /// What a value means.
  public enum Kind: String, Sendable {
    case counter, gauge
  }

  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  public private(set) var text = ""

  public init() {}

  /// Begins a family: every sample up to the next one belongs to it. `help` is one sentence, with the unit.
  public mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
  }

  /// One value; labels in the order given.
  public mutating func sample(_ name: String, _ labels: KeyValuePairs<String, String> = [:], _ value: UInt64) {
    write(name, labels, "\(value)")
  }

  /// One value; not a number where there is none.
  public mutating func sample(_ name: String, _ labels: KeyValuePairs<String, String> = [:], _ value: Double?) {
    write(name, labels, value.map { "\($0)" } ?? "NaN")
  }

  /// A family of one value.
  public mutating func value(_ name: String, _ kind: Kind, _ help: String, _ value: UInt64) {
    family(name, kind, help)
    sample(name, [:], value)
  }

  /// A family of one value.
  public mutating func value(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
    family(name, kind, help)
    sample(name, [:], value)
  }

  private mutating func write(_ name: String, _ labels: KeyValuePairs<String, String>, _ value: String) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}"
    }
    text += " \(value)\n"
  }

  private static func escaped(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x5c || $0 == 0x22 || $0 == 0x0a }) else { return text }
    var escaped = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": escaped += "\\\\"
      case "\"": escaped += "\\\""
      case "\n": escaped += "\\n"
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }
}
