internal import RPC
internal import Synchronization

/// The health watches of one worker.
final class HealthLane: @unchecked Sendable {
  // Safe to share: `worker` is constant, `isPosted` is atomic; the rest is touched on the worker's thread only.
  private let worker: any RPCWorker
  private let isPosted = Atomic<Bool>(false)
  private var watches: [ObjectIdentifier: HealthWatch] = [:]
  /// Runs while there are watches.
  private var timer: (any RPCTimer)?

  init(_ worker: any RPCWorker) {
    self.worker = worker
  }

  /// Has every watch look again, soon. From any thread.
  func post() {
    guard !isPosted.exchange(true, ordering: .acquiringAndReleasing) else { return }
    worker.execute {
      self.isPosted.store(false, ordering: .releasing)
      self.update()
    }
  }

  func add(_ watch: HealthWatch) {
    watches[ObjectIdentifier(watch)] = watch
    if timer == nil { schedule() }
  }

  func remove(_ watch: HealthWatch) {
    watches[ObjectIdentifier(watch)] = nil
    guard watches.isEmpty else { return }
    timer?.cancel()
    timer = nil
  }

  private func schedule() {
    timer = worker.schedule(afterSeconds: Limits.healthIntervalSeconds) { [weak self] in
      guard let self else { return }
      self.timer = nil
      self.update()
      if !self.watches.isEmpty, self.timer == nil { self.schedule() }
    }
  }

  private func update() {
    // A watch that is written to may end, and so leave.
    for watch in Array(watches.values) { watch.update() }
  }
}
