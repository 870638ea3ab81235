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
    /// What each key answers, by the writes that were acknowledged: of several documents the first.
    var answers: [CacheKey: String] = [:]
    /// The sources as of the last attempts to write them.
    var sources: [DocumentName: StoredDocument] = [:]
    /// What containers and agents of sources answer as of then.
    var members: [CacheKey: [Member]] = [:]
    /// Over each of the two protocols.
    var lookupCounts: [Transport: Int] = [:]
    /// By each selector.
    var selectorCounts: [CacheKey.Selector: Int] = [:]
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
    let (left, taken) = (before?.claims(in: name.collection) ?? [], after?.claims(in: name.collection) ?? [])
    return with { state in
      var attempts: [TrueHistory.Attempt] = []
      for key in left where !taken.contains(key) {
        attempts.append(state.validator.history.attempt("\(key)", document: name.id, .nothing))
      }
      for key in taken {
        let label = after?.label ?? ""
        attempts.append(state.validator.history.attempt("\(key)", document: name.id, .label(label)))
      }
      let groups = name.collection == .sources ? state.attemptSource(name, from: before, to: after) : []
      attempts += groups.map(\.attempt)
      return WriteAttempt(attempts: attempts, keys: Array(Set(left + taken + groups.map(\.key))))
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
        let first = state.validator.history.lastMembers("\(key)").first?.label
        let label = first ?? state.validator.history.last("\(key)")
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

extension Judge.State {
  /// What a write to a source makes of the answers that it gives together with others.
  fileprivate mutating func attemptSource(
    _ name: DocumentName, from before: StoredDocument?, to after: StoredDocument?
  ) -> [(key: CacheKey, attempt: TrueHistory.Attempt)] {
    sources[name] = after
    // Who loses its source_id, or wins it, leaves or enters the answers of its own groups.
    let names = Set([before?.key, after?.key].compactMap(\.self))
    let touched = [before, after].compactMap(\.self) + sources.values.filter { names.contains($0.key) }
    var attempts: [(key: CacheKey, attempt: TrueHistory.Attempt)] = []
    for key in Set(touched.flatMap { $0.groups(in: .sources) }) {
      let now = currentMembers(of: key)
      guard members.updateValue(now, forKey: key) ?? [] != now else { continue }
      attempts.append((key, validator.history.attempt("\(key)", members: now)))
    }
    return attempts
  }

  private func currentMembers(of key: CacheKey) -> [Member] {
    var winners: [String: (name: DocumentName, document: StoredDocument)] = [:]
    for (name, document) in sources where document.standing != .hidden {
      if let known = winners[document.key], known.name.id > name.id { continue }
      winners[document.key] = (name, document)
    }
    return winners.values.map(\.document).filter { $0.groups(in: .sources).contains(key) }
      .map { Member($0.key, $0.label) }.sorted { $0.name < $1.name }
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
