// SPDX-License-Identifier: Apache-2.0
/// Metrics as of one moment: families of data points, independent of the exporter.
///
/// Names follow Prometheus: the name of a counter ends in `_total`, preceded by the unit, `_seconds` or `_bytes`.
public struct Metrics: Sendable {
  /// The type of a metric.
  public enum Kind: String, Sendable {
    case counter, gauge, histogram
  }

  /// The data points of one metric name, which differ by their labels.
  public struct Family: Sendable {
    /// The name of the metric.
    public let name: String
    /// The type of the metric.
    public let kind: Kind
    /// A description of one sentence.
    public let help: String
    /// The data points, in the order in which they were added.
    public fileprivate(set) var points: [Point] = []
  }

  /// One data point of a family.
  public struct Point: Sendable {
    /// The labels, in order.
    public let labels: [(name: String, value: String)]
    /// The value.
    public let value: Value
  }

  /// A counted or measured value.
  public enum Value: Sendable {
    case integer(UInt64)
    case number(Double)
    case histogram(Histogram)
  }

  /// A distribution of values over buckets. Each bucket counts the values above the previous bound, up to and including
  /// its own bound.
  public struct Histogram: Sendable, Hashable {
    /// The upper bounds of the buckets, in ascending order.
    public var bounds: [Double]
    /// The counts of the buckets: one for each bound, and one for the values above the last bound.
    public var counts: [UInt64]
    /// The sum of all values.
    public var sum: Double

    /// Creates a histogram.
    ///
    /// - Parameters:
    ///   - bounds: the upper bounds of the buckets, in ascending order.
    ///   - counts: the counts, one more than there are bounds.
    ///   - sum: the sum of all values.
    public init(bounds: [Double], counts: [UInt64], sum: Double) {
      precondition(counts.count == bounds.count + 1, "a count for each bound, and one above")
      self.bounds = bounds
      self.counts = counts
      self.sum = sum
    }

    /// The number of all values.
    public var count: UInt64 { counts.reduce(0, &+) }
  }

  /// The families, in the order in which they were added.
  public private(set) var families: [Family] = []

  /// Creates metrics without any family.
  public init() {}

  /// Adds a family. The data points that follow belong to it.
  ///
  /// - Parameters:
  ///   - name: the name of the metric.
  ///   - kind: the type of the metric.
  ///   - help: a description of one sentence.
  public mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    families.append(Family(name: name, kind: kind, help: help))
  }

  /// Adds a data point to the family that was added last.
  ///
  /// - Parameters:
  ///   - labels: the labels of the point.
  ///   - value: the value.
  public mutating func point(_ labels: KeyValuePairs<String, String> = [:], _ value: Value) {
    precondition(!families.isEmpty, "a point needs a family")
    families[families.count - 1].points.append(
      Point(labels: labels.map { (name: $0.key, value: $0.value) }, value: value))
  }

  /// Adds a family with one data point without labels.
  ///
  /// - Parameters:
  ///   - name: the name of the metric.
  ///   - kind: the type of the metric.
  ///   - help: a description of one sentence.
  ///   - value: the value.
  public mutating func value(_ name: String, _ kind: Kind, _ help: String, _ value: Value) {
    family(name, kind, help)
    point([:], value)
  }
}

extension Metrics.Value {
  /// Makes a value of a number that may be missing.
  ///
  /// - Parameter number: the number; nil results in NaN.
  /// - Returns: the value.
  public static func number(orNone number: Double?) -> Metrics.Value { .number(number ?? .nan) }

  /// Makes a value of a count.
  ///
  /// - Parameter number: the count; negative numbers result in 0.
  /// - Returns: the value.
  public static func count(_ number: Int) -> Metrics.Value { .integer(UInt64(max(0, number))) }

  /// Makes a value of a Boolean.
  ///
  /// - Parameter isOn: the Boolean.
  /// - Returns: 1 for true, 0 for false.
  public static func flag(_ isOn: Bool) -> Metrics.Value { .integer(isOn ? 1 : 0) }
}
