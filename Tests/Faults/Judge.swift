internal import Core
internal import Guarantees
internal import ServiceTestSupport
internal import TestSupport

/// Everything that a run sees goes through here, in the order in which it is seen, and is judged at once. Any thread.
final class Judge: Sendable {
  struct State: Sendable {
    var validator = Validator()
    /// The highest operation time of an acknowledged write.
    var lastWrite = Revision.none
    /// The operation time of the last acknowledged write to each key.
    var lastWriteOfKey: [CacheKey: Revision] = [:]
    /// The next write to be acknowledged is wanted; then that of it.
    var wantsNextWrite = false
    var nextWrite: Revision?
    var writeCount = 0
    /// Writes whose outcome was unknown, tried again.
    var retryCount = 0
    /// Every change of an answer that was acknowledged; nil: the key has no answer any more.
    var changes: [(key: CacheKey, label: String?)] = []
    /// What each key answers, by the writes that were acknowledged.
    var answers: [CacheKey: String] = [:]
    /// Over each of the two protocols.
    var lookupCounts: [Transport: Int] = [:]
    /// Lookups on the same server right after a notice of the key.
    var noticedLookupCount = 0
    /// Lookups with a `min_revision` that were answered, and that were refused.
    var askedCount = 0
    var refusedCount = 0
    /// What the bench itself could not do: then nothing was shown.
    var troubles: [String] = []
  }

  private let state = Locked(State())

  func with<Result>(_ body: (inout State) -> Result) -> Result { state.withLock(body) }

  var violations: [Violation] { with { $0.validator.violations } }
  var lastWrite: Revision { with { $0.lastWrite } }
  var writeCount: Int { with { $0.writeCount } }
  var allKeys: [CacheKey] { with { $0.validator.history.allKeys }.compactMap(CacheKey.init) }

  // MARK: Writes

  /// A write to a document that may be under way.
  struct WriteAttempt: Sendable {
    fileprivate let attempts: [TrueHistory.Attempt]
    fileprivate let keys: [CacheKey]
  }

  /// To be called before the write is sent.
  func attempt(_ name: DocumentName, from before: StoredDocument?, to after: StoredDocument?) -> WriteAttempt {
    let (left, taken) = (before?.claim(in: name.collection), after?.claim(in: name.collection))
    return with { state in
      var attempts: [TrueHistory.Attempt] = []
      if let left, left != taken {
        attempts.append(state.validator.history.attempt("\(left)", document: name.id, .nothing))
      }
      if let taken, let after {
        attempts.append(state.validator.history.attempt("\(taken)", document: name.id, .label(after.label)))
      }
      return WriteAttempt(attempts: attempts, keys: Array(Set([left, taken].compactMap { $0 })))
    }
  }

  /// To be called when the writes are known to be done.
  func acknowledge(_ writes: [WriteAttempt], at revision: Revision) {
    with { state in
      for write in writes {
        for attempt in write.attempts { state.validator.history.acknowledge(attempt, by: revision) }
      }
      for key in Set(writes.flatMap(\.keys)) {
        state.lastWriteOfKey[key] = revision
        let label = state.validator.history.last("\(key)")
        guard label != state.answers[key] else { continue }
        state.answers[key] = label
        state.changes.append((key, label))
      }
      state.lastWrite = max(state.lastWrite, revision)
      state.writeCount += 1
      if state.wantsNextWrite { (state.wantsNextWrite, state.nextWrite) = (false, revision) }
    }
  }

  /// A write that is no document's.
  func wrote(at revision: Revision) { with { $0.lastWrite = max($0.lastWrite, revision) } }

  func trouble(_ text: String) {
    with { if $0.troubles.count < 50 { $0.troubles.append(text) } }
  }
}

/// A running writer's, reader's or subscriber's thread is told to end by this. Any thread.
final class StopSwitch: Sendable {
  private let isOn = Locked(false)

  var isSet: Bool { isOn.withLock { $0 } }

  func set() {
    isOn.withLock { $0 = true }
    isOn.signal()
  }

  /// Waits, but not beyond the stop.
  func sleep(seconds: Double) {
    _ = isOn.wait(until: .now.advanced(bySeconds: seconds)) { $0 ? true : nil }
  }
}
