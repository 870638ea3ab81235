internal import Core

/// The operation times that a stream has reported, and when: for what was known a while ago.
struct ReportedTimes: Sendable {
  /// In order of both.
  private var reports: [(at: MonotonicTime, time: Revision)] = []

  mutating func add(_ time: Revision, at moment: MonotonicTime) {
    if let last = reports.last, last.time >= time { return }
    reports.append((moment, time))
  }

  /// The last that was reported at `moment` or before; forgets those before it.
  mutating func latest(notAfter moment: MonotonicTime) -> Revision {
    guard let place = reports.lastIndex(where: { $0.at <= moment }) else { return .none }
    reports.removeFirst(place)
    return reports[0].time
  }
}
