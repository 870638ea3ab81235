internal import RPC
internal import Synchronization

/// Calls a function from time to time while there are health watches: the one place that notices what changes with time
/// alone. Its timer lives on one worker.
final class HealthClock: @unchecked Sendable {
  // Safe to share: `worker` and `look` are constant, `watchCount` is atomic; `timer` is touched on the worker's thread.
  private let worker: any RPCWorker
  private let look: @Sendable () -> Void
  private let watchCount = Atomic<Int>(0)
  private var timer: (any RPCTimer)?

  init(_ worker: any RPCWorker, _ look: @escaping @Sendable () -> Void) {
    self.worker = worker
    self.look = look
  }

  /// A watch begins, unless there are `limit` of them. From any thread.
  func take(limit: Int) -> Bool {
    let (before, _) = watchCount.add(1, ordering: .relaxed)
    guard before < limit else {
      watchCount.subtract(1, ordering: .relaxed)
      return false
    }
    if before == 0 { worker.execute { self.start() } }
    return true
  }

  /// A watch has ended. From any thread.
  func giveBack() {
    watchCount.subtract(1, ordering: .relaxed)
  }

  /// Watches that are open. From any thread.
  var count: Int { watchCount.load(ordering: .relaxed) }

  private func start() {
    guard timer == nil, count > 0 else { return }
    timer = worker.schedule(afterSeconds: Limits.healthIntervalSeconds) { [weak self] in
      guard let self else { return }
      timer = nil
      start()
      look()
    }
  }
}
