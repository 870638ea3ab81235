// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The state that the threads of a cache share: the engine under its lock, a copy of its health, and the requests that
/// the threads exchange.
final class CacheState<Model: CachedModel>: Sendable {
  struct Control: Sendable {
    var isStopping = false
    /// The earliest start of a manually requested reload; nil if none was requested.
    var manualReloadDue: MonotonicTime?
    /// The earliest start of the next manual reload.
    var manualReloadFloor: MonotonicTime?
    var read: ReadRequest?
  }

  let control = Locked(Control())
  private let engine: Locked<CacheEngine<Model>>
  private let publishedHealth = Locked(CacheHealth())

  init(_ engine: CacheEngine<Model>) {
    self.engine = Locked(engine)
  }

  var isStopping: Bool { control.withLock { $0.isStopping } }

  /// The health as of the last step.
  var health: CacheHealth { publishedHealth.withLock { $0 } }

  func withEngine<Result>(_ body: (inout CacheEngine<Model>) -> Result) -> Result {
    let (result, health) = engine.withLock { engine in
      let result = body(&engine)
      return (result, engine.currentHealth())
    }
    publishedHealth.withLock { $0 = health }
    return result
  }

  /// Sleeps for a duration. Returns false if the cache is being stopped.
  func sleep(for duration: Duration) -> Bool {
    guard duration > .zero else { return !isStopping }
    let stop = control.wait(until: .now.advanced(by: duration)) { $0.isStopping ? true : nil }
    return stop == nil && !isStopping
  }
}
