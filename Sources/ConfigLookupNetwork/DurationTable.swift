// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A table of histograms with the buckets of ``DurationBuckets``, one in each row. One thread adds durations, and any
/// thread may read.
struct DurationTable: Sendable {
  private static let width = DurationBuckets.shared.count + 1
  private let table: CounterTable

  init(rows: Int) {
    table = CounterTable(count: rows * Self.width)
  }

  /// Adds the same duration `count` times. To be called on the thread that owns the table only.
  func add(nanoseconds: UInt64, count: UInt64 = 1, to row: Int) {
    let start = row * Self.width
    table.add(count, to: start + DurationBuckets.shared.index(of: nanoseconds))
    table.add(nanoseconds &* count, to: start + Self.width - 1)
  }

  /// Returns the histogram of a row. May be called from any thread.
  func read(_ row: Int) -> DurationCounts {
    var counts = DurationCounts()
    for index in counts.buckets.indices { counts.buckets[index] = table.read(row * Self.width + index) }
    counts.nanoseconds = table.read(row * Self.width + Self.width - 1)
    return counts
  }
}

/// A histogram of durations that can be added to others.
public struct DurationCounts: Sendable {
  var buckets = [UInt64](repeating: 0, count: DurationBuckets.shared.count)
  var nanoseconds: UInt64 = 0

  /// Number of durations.
  public var count: UInt64 { buckets.reduce(0, &+) }

  /// The histogram in the form in which metrics are exported.
  public var histogram: Metrics.Histogram {
    DurationBuckets.shared.histogram(counts: buckets, sumNanoseconds: nanoseconds)
  }

  static func += (left: inout DurationCounts, right: DurationCounts) {
    for index in left.buckets.indices { left.buckets[index] &+= right.buckets[index] }
    left.nanoseconds &+= right.nanoseconds
  }
}
