internal import Core

/// What the threads of a cache share: the engine under its lock, a copy of its health, and what they tell each other.
final class CacheState<Model: CachedModel>: Sendable {
  struct Control: Sendable {
    var isStopping = false
    /// When a reload that was asked for by hand begins, at the earliest; nil: none was asked for.
    var manualReloadDue: MonotonicTime?
    /// The next reload by hand begins no earlier.
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

  /// As of the last step.
  var health: CacheHealth { publishedHealth.withLock { $0 } }

  func withEngine<Result>(_ body: (inout CacheEngine<Model>) -> Result) -> Result {
    let (result, health) = engine.withLock { engine in
      let result = body(&engine)
      return (result, engine.currentHealth())
    }
    publishedHealth.withLock { $0 = health }
    return result
  }

  /// False: the cache is stopping.
  func sleep(seconds: Double) -> Bool {
    guard seconds > 0 else { return !isStopping }
    let stop = control.wait(until: .now.advanced(bySeconds: seconds)) { $0.isStopping ? true : nil }
    return stop == nil && !isStopping
  }
}
