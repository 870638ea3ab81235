// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The clock of a whole simulation. It advances only when it is set.
// Safe to share: a simulation runs on one thread.
final class SimulatedClock: TimeSource, @unchecked Sendable {
  private var milliseconds: UInt64 = 1_000_000

  var now: MonotonicTime { MonotonicTime(nanoseconds: milliseconds * 1_000_000) }
  var wallNow: WallTime { WallTime(milliseconds: Int64(milliseconds) + 1_700_000_000_000) }

  func advance(milliseconds: Int) {
    self.milliseconds += UInt64(milliseconds)
  }
}
