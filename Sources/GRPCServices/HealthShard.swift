// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import Synchronization

/// The health watches of one worker.
final class HealthShard: @unchecked Sendable {
  // This is safe to share: `worker` is constant, `changed` is atomic, and the rest is used on the worker's thread only.
  private let worker: any RPCWorker
  /// The subjects, one bit for each, whose watches have not been notified of a change yet.
  private let changed = Atomic<UInt64>(0)
  /// The watches by the index of their subject.
  private var watches: [[ObjectIdentifier: HealthWatch]]
  /// The watches that are still to be notified, a limited number in each event-loop iteration.
  private var untold: ArraySlice<HealthWatch> = []

  init(_ worker: any RPCWorker, subjectCount: Int) {
    self.worker = worker
    watches = Array(repeating: [:], count: subjectCount)
  }

  /// Schedules a check of every watch of these subjects, one bit for each. May be called from any thread.
  func post(_ subjects: UInt64) {
    let (before, _) = changed.bitwiseOr(subjects, ordering: .acquiringAndReleasing)
    if before == 0 { worker.execute { self.takeChanges() } }
  }

  func add(_ watch: HealthWatch, of subject: Int) {
    watches[subject][ObjectIdentifier(watch)] = watch
  }

  func remove(_ watch: HealthWatch, of subject: Int) {
    watches[subject][ObjectIdentifier(watch)] = nil
  }

  private func takeChanges() {
    let subjects = changed.exchange(0, ordering: .acquiringAndReleasing)
    let isUnderWay = !untold.isEmpty
    for subject in watches.indices where subjects & 1 << UInt64(subject) != 0 { untold += watches[subject].values }
    if !isUnderWay { tellSome() }
  }

  private func tellSome() {
    let some = untold.prefix(GRPCServiceLimits.notifiedPerIteration)
    untold = untold.dropFirst(some.count)
    // A watch that is written to may end, and remove itself.
    for watch in some { watch.update() }
    if untold.isEmpty {
      untold = []
    } else {
      worker.execute { self.tellSome() }
    }
  }
}
