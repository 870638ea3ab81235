// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The remaining work for watches and waiting calls of one worker in an event-loop iteration.
///
/// Time is measured, but not for each step: a step costs units, and the clock is read once for a number of units.
struct WorkSlice {
  /// The length of a slice. A lookup that arrives during a slice waits about this long at most.
  static let nanoseconds: UInt64 = 500_000
  /// A number of units that takes about 10 microseconds.
  private static let unitsPerClockRead = 32

  private let end: MonotonicTime
  private var units: Int
  private var unitsToClockRead = unitsPerClockRead
  private(set) var isOver = false

  /// Begins a slice that ends after its time or after `units` units.
  init(now: MonotonicTime, units: Int) {
    end = MonotonicTime(nanoseconds: now.nanoseconds + Self.nanoseconds)
    self.units = units
  }

  /// Takes units from the slice; one unit is about a quarter of a microsecond.
  mutating func spend(_ count: Int, now: @autoclosure () -> MonotonicTime) {
    units -= count
    unitsToClockRead -= count
    if units <= 0 { isOver = true }
    guard unitsToClockRead <= 0 else { return }
    unitsToClockRead = Self.unitsPerClockRead
    if now() >= end { isOver = true }
  }
}
