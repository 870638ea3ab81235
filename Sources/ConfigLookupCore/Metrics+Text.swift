// SPDX-License-Identifier: Apache-2.0
extension Metrics {
  /// The `Content-Type` of ``text``.
  public static let textContentType = "text/plain; version=0.0.4; charset=utf-8"

  /// The metrics in Prometheus' text format.
  ///
  /// https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
  public var text: String {
    var out = ""
    for family in families {
      out += "# HELP \(family.name) \(family.help)\n# TYPE \(family.name) \(family.kind.rawValue)\n"
      for point in family.points { write(point, of: family.name, to: &out) }
    }
    return out
  }

  private func write(_ point: Point, of name: String, to out: inout String) {
    let labels = point.labels.map { "\($0.name)=\"\(escaped($0.value))\"" }.joined(separator: ",")
    let braces = labels.isEmpty ? "" : "{\(labels)}"
    switch point.value {
    case .integer(let value): out += "\(name)\(braces) \(value)\n"
    case .number(let value): out += "\(name)\(braces) \(value.isNaN ? "NaN" : "\(value)")\n"
    case .histogram(let histogram):
      let before = labels.isEmpty ? "" : labels + ","
      var count: UInt64 = 0
      for (index, bound) in histogram.bounds.enumerated() {
        count += histogram.counts[index]
        out += "\(name)_bucket{\(before)le=\"\(bound)\"} \(count)\n"
      }
      out += "\(name)_bucket{\(before)le=\"+Inf\"} \(histogram.count)\n"
      out += "\(name)_sum\(braces) \(histogram.sum)\n\(name)_count\(braces) \(histogram.count)\n"
    }
  }

  private func escaped(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && $0 != 0x5c && $0 != 0x22 }
    guard !isPlain else { return text }
    var escaped = ""
    // The format has an escape sequence only for the newline. Other control characters would reach the terminal of a
    // person who views the page, so they are written as escaped text.
    for character in text.split(separator: "\n", omittingEmptySubsequences: false)
      .map({ escapingControls(String($0)) }).joined(separator: "\n").unicodeScalars
    {
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
