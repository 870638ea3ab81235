/// Figures as of one moment: families of points, whoever shall read them.
///
/// Names are Prometheus's: a counter ends in `_total`, and before that stands the unit, `_seconds` or `_bytes`.
public struct Metrics: Sendable {
  /// What a value means.
  public enum Kind: String, Sendable {
    case counter, gauge, histogram
  }

  /// The figures of one name, apart by their labels.
  public struct Family: Sendable {
    public let name: String
    public let kind: Kind
    /// One sentence.
    public let help: String
    public fileprivate(set) var points: [Point] = []
  }

  /// One figure of a family.
  public struct Point: Sendable {
    /// In order.
    public let labels: [(name: String, value: String)]
    public let value: Value
  }

  /// What was counted or measured.
  public enum Value: Sendable {
    case integer(UInt64)
    case number(Double)
    case histogram(Histogram)
  }

  /// How many values lay below or at each bound, and above the one before it.
  public struct Histogram: Sendable, Hashable {
    public var bounds: [Double]
    /// One for each bound, and one for what lay above the last.
    public var counts: [UInt64]
    public var sum: Double

    public init(bounds: [Double], counts: [UInt64], sum: Double) {
      precondition(counts.count == bounds.count + 1, "a count for each bound, and one above")
      self.bounds = bounds
      self.counts = counts
      self.sum = sum
    }

    public var count: UInt64 { counts.reduce(0, &+) }
  }

  public private(set) var families: [Family] = []

  public init() {}

  /// Begins a family: every point up to the next one belongs to it.
  public mutating func family(_ name: String, _ kind: Kind, _ help: String) {
    families.append(Family(name: name, kind: kind, help: help))
  }

  /// One figure of the family that was begun last.
  public mutating func point(_ labels: KeyValuePairs<String, String> = [:], _ value: Value) {
    precondition(!families.isEmpty, "a point needs a family")
    families[families.count - 1].points.append(
      Point(labels: labels.map { (name: $0.key, value: $0.value) }, value: value))
  }

  /// A family of one figure.
  public mutating func value(_ name: String, _ kind: Kind, _ help: String, _ value: Value) {
    family(name, kind, help)
    point([:], value)
  }
}

extension Metrics.Value {
  /// A number; not a number where there is none.
  public static func number(orNone number: Double?) -> Metrics.Value { .number(number ?? .nan) }

  /// A number of things.
  public static func count(_ number: Int) -> Metrics.Value { .integer(UInt64(max(0, number))) }

  /// 1 for yes.
  public static func flag(_ isOn: Bool) -> Metrics.Value { .integer(isOn ? 1 : 0) }
}
