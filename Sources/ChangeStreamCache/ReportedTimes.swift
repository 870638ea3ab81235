// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The operation times that a stream has reported, with the times at which it did. It answers which operation time was
/// known some time ago.
struct ReportedTimes: Sendable {
  /// The reports, in order of both times.
  private var reports: [(at: MonotonicTime, time: Revision)] = []

  mutating func add(_ time: Revision, at moment: MonotonicTime) {
    if let last = reports.last, last.time >= time { return }
    reports.append((moment, time))
  }

  /// Returns the last operation time that was reported at `moment` or before it. Removes the reports before that one.
  mutating func latest(notAfter moment: MonotonicTime) -> Revision {
    guard let place = reports.lastIndex(where: { $0.at <= moment }) else { return .none }
    reports.removeFirst(place)
    return reports[0].time
  }
}
