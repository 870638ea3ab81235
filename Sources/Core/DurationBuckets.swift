/// The buckets of all histograms of durations: six a decade, from a microsecond to ten seconds. A lookup takes some
/// microseconds: in coarser buckets, or in those that begin at milliseconds, its p99 could not be read.
public final class DurationBuckets: Sendable {
  public static let shared = DurationBuckets()

  /// The upper bounds, which belong to their buckets.
  public let nanoseconds: [UInt64]
  /// By a duration's number of bits: the first bucket that may hold it.
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

  /// How many buckets there are: one for each bound, and one above.
  public var count: Int { nanoseconds.count + 1 }

  /// The bucket of a duration.
  public func index(of duration: UInt64) -> Int {
    var index = firstByBits[64 - duration.leadingZeroBitCount]
    while index < nanoseconds.count, nanoseconds[index] < duration { index += 1 }
    return index
  }

  /// What was counted in the buckets, for those who read it.
  public func histogram(counts: [UInt64], sumNanoseconds: UInt64) -> Metrics.Histogram {
    Metrics.Histogram(
      bounds: nanoseconds.map { Double($0) / 1e9 }, counts: counts, sum: Double(sumNanoseconds) / 1e9)
  }
}
