// SPDX-License-Identifier: Apache-2.0
/// The buckets of all histograms of durations: six per decade, from one microsecond to ten seconds. A lookup takes some
/// microseconds, so coarser buckets, or buckets that begin at milliseconds, would not show its p99.
public final class DurationBuckets: Sendable {
  /// The one instance.
  public static let shared = DurationBuckets()

  /// The inclusive upper bounds of the buckets, in nanoseconds.
  public let nanoseconds: [UInt64]
  /// For each bit width of a duration, the first bucket that may contain the duration.
  private let firstByBits: [Int]

  private init() {
    var bounds: [UInt64] = []
    var decade: UInt64 = 1000
    while decade < 10_000_000_000 {
      bounds += [10, 15, 20, 30, 50, 75].map { $0 * decade / 10 }
      decade *= 10
    }
    bounds.append(decade)
    nanoseconds = bounds
    firstByBits = (0...64).map { bits in
      let lowest: UInt64 = bits == 0 ? 0 : 1 << (bits - 1)
      return bounds.firstIndex { $0 >= lowest } ?? bounds.count
    }
  }

  /// The number of buckets: one for each bound, and one above the last bound.
  public var count: Int { nanoseconds.count + 1 }

  /// Returns the index of a duration's bucket.
  ///
  /// - Parameter duration: the duration in nanoseconds.
  /// - Returns: the index; ``count`` - 1 for a duration above all bounds.
  public func index(of duration: UInt64) -> Int {
    var index = firstByBits[64 - duration.leadingZeroBitCount]
    while index < nanoseconds.count, nanoseconds[index] < duration { index += 1 }
    return index
  }

  /// Makes a histogram in seconds, as metrics need it.
  ///
  /// - Parameters:
  ///   - counts: the number of durations in each bucket.
  ///   - sumNanoseconds: the sum of all durations, in nanoseconds.
  /// - Returns: the histogram.
  public func histogram(counts: [UInt64], sumNanoseconds: UInt64) -> Metrics.Histogram {
    Metrics.Histogram(
      bounds: nanoseconds.map { Double($0) / 1e9 }, counts: counts, sum: Double(sumNanoseconds) / 1e9)
  }
}
