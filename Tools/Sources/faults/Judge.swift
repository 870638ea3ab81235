// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees
internal import ServiceTestSupport
internal import TestSupport

/// Receives every event of a run in order, and validates it at once. Any thread.
final class Judge: Sendable {
  struct State: Sendable {
    var validator = Validator()
    /// The highest operation time of an acknowledged write.
    var lastWrite = Revision.none
    /// The operation time of the last acknowledged write to each key.
    var lastWriteOfKey: [CacheKey: Revision] = [:]
    /// Whether the revision of the next acknowledged write is to be stored; then that revision.
    var wantsNextWrite = false
    var nextWrite: Revision?
    var writeCount = 0
    /// The number of retries of writes whose outcome was unknown.
    var retryCount = 0
    /// Every acknowledged change of an answer; nil if the key has no answer any more.
    var changes: [(key: CacheKey, label: String?)] = []
    /// The answer of each key by the acknowledged writes; of several documents the first.
    var answers: [CacheKey: String] = [:]
    /// The sources as of the last attempts to write them.
    var sources: [DocumentName: StoredDocument] = [:]
    /// The answers of containers and agents as of then.
    var members: [CacheKey: [Member]] = [:]
    /// The number of lookups over each of the two protocols.
    var lookupCounts: [Transport: Int] = [:]
    /// The number of lookups by each selector.
    var selectorCounts: [CacheKey.Selector: Int] = [:]
    /// The number of lookups on the same server right after a notice of the key.
    var noticedLookupCount = 0
    /// The number of lookups with a `min_revision` that were answered, and that were rejected.
    var askedCount = 0
    var refusedCount = 0
    /// Failures of the bench itself. A run with such a failure does not test the guarantees.
    var troubles: [String] = []
  }

  private let state = Locked(State())

  func with<Result>(_ body: (inout State) -> Result) -> Result { state.withLock(body) }

  var violations: [Violation] { with { $0.validator.violations } }
  var lastWrite: Revision { with { $0.lastWrite } }
  var writeCount: Int { with { $0.writeCount } }
  var allKeys: [CacheKey] { with { $0.validator.history.allKeys }.compactMap(CacheKey.init) }

  // MARK: Writes

  /// A write to a document that may be in progress.
  struct WriteAttempt: Sendable {
    fileprivate let attempts: [TrueHistory.Attempt]
    fileprivate let keys: [CacheKey]
  }

  /// Records a write. Call it before the write is sent.
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

  /// Records that writes have been acknowledged.
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

  /// Records a write that does not concern a document.
  func wrote(at revision: Revision) { with { $0.lastWrite = max($0.lastWrite, revision) } }

  func trouble(_ text: String) {
    with { if $0.troubles.count < 50 { $0.troubles.append(text) } }
  }
}

extension Judge.State {
  /// Records the effect of a write to a source on the answers that it shares with other sources.
  fileprivate mutating func attemptSource(
    _ name: DocumentName, from before: StoredDocument?, to after: StoredDocument?
  ) -> [(key: CacheKey, attempt: TrueHistory.Attempt)] {
    sources[name] = after
    // A document that loses or wins its source_id leaves or enters the answers of its own groups.
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

/// A switch that ends the threads of writers, readers and subscribers. Any thread.
final class StopSwitch: Sendable {
  private let isOn = Locked(false)

  var isSet: Bool { isOn.withLock { $0 } }

  func set() {
    isOn.withLock { $0 = true }
    isOn.signal()
  }

  /// Sleeps, but not beyond the stop.
  func sleep(seconds: Double) {
    _ = isOn.wait(until: .now.advanced(by: .seconds(seconds))) { $0 ? true : nil }
  }
}
