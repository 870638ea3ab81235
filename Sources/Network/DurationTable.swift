public import Core

/// Durations in the buckets of ``DurationBuckets``, one histogram in each row: one thread adds, any thread reads.
struct DurationTable: Sendable {
  private static let width = DurationBuckets.shared.count + 1
  private let table: CounterTable

  init(rows: Int) {
    table = CounterTable(count: rows * Self.width)
  }

  /// Only on the thread that owns the table: `count` times the same duration.
  func add(nanoseconds: UInt64, count: UInt64 = 1, to row: Int) {
    let start = row * Self.width
    table.add(count, to: start + DurationBuckets.shared.index(of: nanoseconds))
    table.add(nanoseconds &* count, to: start + Self.width - 1)
  }

  /// Any thread.
  func read(_ row: Int) -> DurationCounts {
    var counts = DurationCounts()
    for index in counts.buckets.indices { counts.buckets[index] = table.read(row * Self.width + index) }
    counts.nanoseconds = table.read(row * Self.width + Self.width - 1)
    return counts
  }
}

/// A histogram of durations that can be added up.
public struct DurationCounts: Sendable {
  var buckets = [UInt64](repeating: 0, count: DurationBuckets.shared.count)
  var nanoseconds: UInt64 = 0

  /// How many durations there were.
  public var count: UInt64 { buckets.reduce(0, &+) }

  public var histogram: Metrics.Histogram {
    DurationBuckets.shared.histogram(counts: buckets, sumNanoseconds: nanoseconds)
  }

  static func += (left: inout DurationCounts, right: DurationCounts) {
    for index in left.buckets.indices { left.buckets[index] &+= right.buckets[index] }
    left.nanoseconds &+= right.nanoseconds
  }
}
