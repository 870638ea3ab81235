// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// Documents by `_id`, and the documents that claim each key: the write side of a cache.
///
/// A delete event carries only the `_id`, so the set records the keys of each document. The cost of a change does not
/// depend on the number of documents.
struct DocumentSet: Sendable {
  struct Stored: Sendable {
    /// The last valid version of the document.
    var entry: Entry?
    /// The reason why the current version of the document cannot be served.
    var problem: DocumentProblem?
  }

  /// The documents that claim a key, the winner first. There is nearly always one, so a single document needs no array.
  enum Claims: Sendable {
    case one(Entry)
    case many([Entry])

    var winner: Entry {
      switch self {
      case .one(let entry): entry
      case .many(let entries): entries[0]
      }
    }

    var all: [Entry] {
      switch self {
      case .one(let entry): [entry]
      case .many(let entries): entries
      }
    }

    var others: [Entry] {
      switch self {
      case .one: []
      case .many(let entries): Array(entries.dropFirst())
      }
    }
  }

  /// The documents that make up an answer.
  struct Composed {
    let entry: Entry
    let others: [Entry]
    let otherNames: [[UInt8]]
  }

  private let spaces: [KeySpace]
  private let hasMembers: Bool
  private(set) var documents: [DocumentID: Stored] = [:]
  private(set) var claims: [LookupKey: Claims] = [:]
  /// The documents that are bad now.
  /// The problems of the documents that are currently invalid.
  private(set) var problems: [DocumentID: DocumentProblem] = [:]
  /// The keys that several documents claim although they may have only one.
  private(set) var conflicts: Set<LookupKey> = []
  /// Changes whenever ``conflicts``, or a document that takes part in one, may have changed.
  private(set) var conflictsGeneration = 0
  /// The number of bytes of all encoded documents.
  private(set) var byteCount = 0

  /// Creates an empty set of documents whose keys are in `spaces`.
  init(spaces: [KeySpace]) {
    self.spaces = spaces
    hasMembers = spaces.contains { $0.composition == .members }
  }

  /// Reserves memory for as many documents as another set has.
  mutating func reserveCapacity(of other: DocumentSet) {
    documents.reserveCapacity(other.documents.count)
    claims.reserveCapacity(other.claims.count)
  }

  /// Replaces the state of a document by what was read. An invalid document is replaced by its last valid version: the
  /// one in this set, or else `lastGood`.
  ///
  /// - Returns: the keys whose answer may have changed.
  mutating func set(_ id: DocumentID, _ reading: Reading?, lastGood: Entry? = nil) -> [LookupKey] {
    let old: Stored?
    var new: Stored?
    switch reading {
    case nil, .outside: old = documents.removeValue(forKey: id)
    case .good(let entry):
      let stored = Stored(entry: entry, problem: nil)
      new = stored
      old = documents.updateValue(stored, forKey: id)
    case .bad(let problem):
      old = documents[id]
      new = Stored(entry: old?.entry ?? lastGood, problem: problem)
      documents[id] = new
    }
    if let problem = new?.problem { problems[id] = problem } else if old?.problem != nil { problems[id] = nil }

    if old?.entry === new?.entry { return [] }
    byteCount += (new?.entry?.bytes.count ?? 0) - (old?.entry?.bytes.count ?? 0)
    var changed: [LookupKey] = []
    let primaryKeys = hasMembers ? Set([old?.entry?.key, new?.entry?.key].compactMap(\.self)) : []
    let winners = primaryKeys.map { ($0, claims[$0]?.winner) }
    if let entry = old?.entry {
      for key in entry.keys {
        release(key, by: entry)
        changed.append(key)
      }
    }
    if let entry = new?.entry {
      for key in entry.keys {
        claim(key, by: entry)
        if !changed.contains(key) { changed.append(key) }
      }
    }
    for (key, before) in winners {
      let after = claims[key]?.winner
      guard before !== after else { continue }
      // A document that wins or loses its primary key enters or leaves the answers that it is a member of.
      for entry in [before, after].compactMap(\.self) {
        for key in entry.keys where composition(key) == .members && !changed.contains(key) { changed.append(key) }
      }
    }
    return changed
  }

  /// Returns the documents that make up the key's answer, by the composition of its space; nil if there is no answer.
  func compose(_ key: LookupKey) -> Composed? {
    guard let claims = claims[key] else { return nil }
    switch composition(key) {
    case .winner:
      return Composed(entry: claims.winner, others: claims.others, otherNames: [])
    case .winnerNamingOthers(let space):
      guard case .many(let entries) = claims else { return Composed(entry: claims.winner, others: [], otherNames: []) }
      var names = Set(entries.dropFirst().compactMap { $0.keys.first { $0.space == space }?.bytes })
      if let own = entries[0].keys.first(where: { $0.space == space })?.bytes { names.remove(own) }
      return Composed(
        entry: entries[0], others: Array(entries.dropFirst()),
        otherNames: names.sorted { $0.lexicographicallyPrecedes($1) })
    case .members:
      let members = claims.all.filter { self.claims[$0.key]?.winner === $0 }.sorted { isBefore($0.key, $1.key) }
      guard let first = members.first else { return nil }
      let others = Array(members.dropFirst())
      return Composed(entry: first, others: others, otherNames: others.map(\.key.bytes))
    }
  }

  private func composition(_ key: LookupKey) -> KeySpace.Composition {
    Int(key.space) < spaces.count ? spaces[Int(key.space)].composition : .winner
  }

  /// Replaces the state of a document by its state in another set.
  mutating func take(_ id: DocumentID, from other: DocumentSet) {
    _ = set(id, nil)
    guard let stored = other.documents[id] else { return }
    if let problem = stored.problem {
      _ = set(id, .bad(problem), lastGood: stored.entry)
    } else if let entry = stored.entry {
      _ = set(id, .good(entry))
    }
  }

  private mutating func claim(_ key: LookupKey, by entry: Entry) {
    defer { noteConflict(key) }
    switch claims.updateValue(.one(entry), forKey: key) {
    case nil: break
    case .one(let other): claims[key] = .many(entry.wins(over: other) ? [entry, other] : [other, entry])
    case .many(var entries):
      let place = entries.firstIndex { entry.wins(over: $0) } ?? entries.endIndex
      entries.insert(entry, at: place)
      claims[key] = .many(entries)
    }
  }

  private mutating func release(_ key: LookupKey, by entry: Entry) {
    defer { noteConflict(key) }
    switch claims[key] {
    case nil: break
    case .one(let other): if other === entry { claims[key] = nil }
    case .many(var entries):
      entries.removeAll { $0 === entry }
      claims[key] = entries.count == 1 ? .one(entries[0]) : .many(entries)
    }
  }

  private mutating func noteConflict(_ key: LookupKey) {
    guard case .many = claims[key], Int(key.space) < spaces.count, spaces[Int(key.space)].admitsOneDocument else {
      if !conflicts.isEmpty, conflicts.remove(key) != nil { conflictsGeneration += 1 }
      return
    }
    conflicts.insert(key)
    conflictsGeneration += 1
  }
}
