// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import Synchronization

/// Calls a function periodically while there are health watches, to detect status changes that only the passage of time
/// causes. Its timer belongs to one worker.
final class HealthClock: @unchecked Sendable {
  // This is safe to share: `worker` and `look` are constant, `watchCount` is atomic, and `timer` is used on the
  // worker's thread only.
  private let worker: any RPCWorker
  private let look: @Sendable () -> Void
  private let watchCount = Atomic<Int>(0)
  private var timer: (any RPCTimer)?

  init(_ worker: any RPCWorker, _ look: @escaping @Sendable () -> Void) {
    self.worker = worker
    self.look = look
  }

  /// Counts a new watch. Returns false if there are `limit` of them already. May be called from any thread.
  func take(limit: Int) -> Bool {
    let (before, _) = watchCount.add(1, ordering: .relaxed)
    guard before < limit else {
      watchCount.subtract(1, ordering: .relaxed)
      return false
    }
    if before == 0 { worker.execute { self.start() } }
    return true
  }

  /// Counts the end of a watch. May be called from any thread.
  func release() {
    watchCount.subtract(1, ordering: .relaxed)
  }

  /// Number of open watches. May be read from any thread.
  var count: Int { watchCount.load(ordering: .relaxed) }

  private func start() {
    guard timer == nil, count > 0 else { return }
    timer = worker.schedule(after: GRPCServiceLimits.healthInterval) { [weak self] in
      guard let self else { return }
      timer = nil
      start()
      look()
    }
  }
}
