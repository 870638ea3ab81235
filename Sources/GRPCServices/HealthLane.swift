internal import RPC
internal import Synchronization

/// The health watches of one worker.
final class HealthLane: @unchecked Sendable {
  // Safe to share: `worker` is constant, `changed` is atomic; the rest is touched on the worker's thread only.
  private let worker: any RPCWorker
  /// Subjects, a bit for each, whose watches have still to be told.
  private let changed = Atomic<UInt64>(0)
  /// By subject.
  private var watches: [[ObjectIdentifier: HealthWatch]]
  /// Watches that are being told, in slices.
  private var untold: ArraySlice<HealthWatch> = []

  init(_ worker: any RPCWorker, subjectCount: Int) {
    self.worker = worker
    watches = Array(repeating: [:], count: subjectCount)
  }

  /// Has every watch of these subjects, a bit for each, look again, soon. From any thread.
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
    let some = untold.prefix(Limits.toldPerTurn)
    untold = untold.dropFirst(some.count)
    // A watch that is written to may end, and so leave.
    for watch in some { watch.update() }
    if untold.isEmpty {
      untold = []
    } else {
      worker.execute { self.tellSome() }
    }
  }
}
