// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import ConfigModels
internal import Guarantees

extension History {
  /// Writes one change, or several at once.
  func write() {
    if traits.hasTransactions, chance.once(in: 4), let changes = handover() { return commit(changes) }
    if traits.hasTransactions, traits.hasMajority, !traits.isPlain, chance.once(in: 6) {
      // One insert command with several documents.
      let collection = chance.pick(Collection.allCases)
      let count = 2 + chance.below(2)
      return commit((0..<count).map { _ in newDocument(collection, major: 1 + chance.below(3)) }, isBatch: true)
    }
    let count = traits.hasTransactions && chance.once(in: 4) ? 2 + chance.below(3) : 1
    var pending: [String: SimulatedDocument?] = [:]
    commit((0..<count).map { _ in randomChange(&pending) })
  }

  private func commit(_ changes: [SimulatedDatabase.Change], isBatch: Bool = false) {
    let hiddenFor = traits.hidesCommits && chance.once(in: 4) ? chance.between(1, 90) : 0
    let time = database.commit(changes, hiddenFor: hiddenFor, isBatch: isBatch, &chance)
    lastWritten = (changes.flatMap(\.keys).filter { CacheName($0) != nil }, time)
    for change in changes {
      log("written at \(time.short): \(change.text)")
      record(change) { key, id, showing in validator.history.set(key, document: id, showing, at: time) }
    }
    for collection in Set(changes.map(\.collection)) { recordAnswers(of: collection, at: time) }
  }

  /// One document hands its key over to another: an active prompt to a staged one, or a source to another one that was
  /// disabled.
  private func handover() -> [SimulatedDatabase.Change]? {
    let collection = chance.pick(Collection.allCases)
    let all = documents[collection.rawValue].values.sorted { $0.id < $1.id }
    guard let giver = all.filter({ $0.isInFilter && !$0.isStaged }).randomElement(using: &chance),
      let taker = all.filter({ $0.id != giver.id && ($0.isStaged || !$0.isInFilter) }).randomElement(using: &chance)
    else { return nil }
    var (gone, come) = (giver, taker)
    writeCount += 1
    (gone.status, gone.isBad, come.isBad) = (collection == .sourceConfigs ? "disabled" : "draft", false, false)
    come.status = giver.status
    if !traits.isPlain {
      (come.key, come.promptID) = (giver.key, giver.promptID)
      (come.container, come.aiAgentID) = (giver.container, giver.aiAgentID)
    }
    (gone.marker, come.marker) = (Int(writeCount), Int(writeCount))
    let changes: [SimulatedDatabase.Change] = [.update(gone), chance.once(in: 2) ? .update(come) : .replace(come)]
    return chance.once(in: 2) ? changes : changes.reversed()
  }

  /// Makes a change that is not in the oplog.
  func writeSilently(to collection: Collection? = nil) {
    var pending: [String: SimulatedDocument?] = [:]
    writeSilently(randomChange(&pending, collection))
  }

  func writeSilently(_ change: SimulatedDatabase.Change) {
    database.changeSilently(change, &chance)
    log("changed silently: \(change.text)")
    silent += attempt(change)
    recordAnswers(of: change.collection, at: database.now)
  }

  /// Returns the insert of a new document that is in the filter. A document with the default version takes precedence
  /// over all others.
  func newDocument(_ collection: Collection, major: Int = 9) -> SimulatedDatabase.Change {
    writeCount += 1
    // Where the version does not decide, the later id does.
    let id = "\(collection.entity.prefix(1))\(major == 9 ? "new" : "batch")\(writeCount)"
    var document = SimulatedDocument(
      collection: collection, id: id, key: chance.pick(keyNames),
      status: collection == .sourceConfigs ? "enabled" : "active", marker: Int(writeCount))
    (document.major, document.promptID) = (major, collection == .prompts ? chance.pick(promptNames) : "")
    return .insert(document)
  }

  /// Commits a transaction that arrives late, completely or except for its first change: long after the database has
  /// reported that everything of its time had been delivered. For the servers, the time from which it holds is later
  /// than its own time.
  func writeLate() -> [TrueHistory.Attempt] {
    let collection = chance.pick(Collection.allCases)
    let changes = [newDocument(collection), newDocument(collection)]
    let place = chance.below(2)
    let time = database.commit(changes, hiddenFor: chance.between(200, 500), from: place, &chance)
    var late: [TrueHistory.Attempt] = []
    for (index, change) in changes.enumerated() {
      log("written at \(time.short), \(index < place ? "in time" : "late"): \(change.text)")
      if index < place {
        record(change) { key, id, showing in validator.history.set(key, document: id, showing, at: time) }
      } else {
        late += attempt(change)
      }
    }
    recordAnswers(of: collection, at: time)
    return late
  }

  /// Records that the time at which a change becomes visible is not known. From now on, the answers that the documents
  /// of its collection determine together are not known either.
  private func attempt(_ change: SimulatedDatabase.Change) -> [TrueHistory.Attempt] {
    var attempts: [TrueHistory.Attempt] = []
    record(change) { key, id, showing in attempts.append(validator.history.attempt(key, document: id, showing)) }
    unsureCollections.insert(change.collection)
    return attempts
  }

  func drop(_ collections: [Collection], _ name: String) {
    let changes = collections.map { SimulatedDatabase.Change.drop($0, name) }
    let ids = collections.map { ($0, database.ids($0)) }
    let time = database.commit(changes, &chance)
    log("\(name) at \(time.short) of \(collections.map(\.entity))")
    for (collection, ids) in ids {
      for id in ids {
        record(.delete(collection, id: id)) { key, id, showing in
          validator.history.set(key, document: id, showing, at: time)
        }
      }
      recordAnswers(of: collection, at: time)
    }
  }

  /// `pending` are the earlier changes of the same transaction.
  private func randomChange(
    _ pending: inout [String: SimulatedDocument?], _ collection: Collection? = nil
  ) -> SimulatedDatabase.Change {
    let collection = collection ?? chance.pick(Collection.allCases)
    let number = chance.below(traits.isPlain ? traits.keyCount : traits.keyCount + 2)
    let id = "\(collection.entity.prefix(1))\(number)"
    let known = pending[id] ?? database.document(collection, id)
    guard known == nil || !chance.once(in: 6) else {
      pending[id] = .some(nil)
      return .delete(collection, id: id)
    }
    let document = randomDocument(collection, id, number, known)
    let isUpdate = !chance.once(in: 3)
    pending[id] = document
    if known == nil { return .insert(document) }
    return isUpdate ? .update(document) : .replace(document)
  }

  private func randomDocument(
    _ collection: Collection, _ id: String, _ number: Int, _ known: SimulatedDocument?
  ) -> SimulatedDocument {
    writeCount += 1
    let marker = traits.repeatsContent ? chance.below(2) : Int(writeCount)
    let key = traits.isPlain ? "k\(number)" : chance.pick(keyNames)
    let statuses: [String] =
      switch collection {
      case .agentConfigs: ["active", "active", "active", "draft"]
      case .prompts: ["active", "active", "staged", "staged", "draft"]
      case .sourceConfigs: ["enabled", "enabled", "enabled", "disabled"]
      }
    var document =
      known ?? SimulatedDocument(collection: collection, id: id, key: key, status: statuses[0], marker: marker)
    document.marker = marker
    if known == nil || chance.once(in: 4) { document.key = key }
    if known == nil || chance.once(in: 3) { document.status = chance.pick(statuses) }
    if collection == .prompts { choosePrompt(&document, number, isNew: known == nil) }
    if collection == .sourceConfigs { choosePlace(&document, number, isNew: known == nil) }
    if !traits.isPlain, chance.once(in: 3) { document.major = 1 + chance.below(3) }
    document.isBad = traits.hasBadDocuments && chance.once(in: 4)
    return document
  }

  private func choosePrompt(_ document: inout SimulatedDocument, _ number: Int, isNew: Bool) {
    if traits.isPlain {
      document.promptID = "p\(number)"
    } else if isNew || chance.once(in: 4) {
      document.promptID = chance.pick(promptNames)
    }
    if chance.once(in: 3) { document.test = chance.pick(SimulatedDocument.Test.allCases) }
  }

  /// Sources share containers and agents, also in histories in which none of them ever moves.
  private func choosePlace(_ document: inout SimulatedDocument, _ number: Int, isNew: Bool) {
    guard isNew || !traits.isPlain && chance.once(in: 4) else { return }
    document.container = chance.once(in: 5) ? nil : chance.pick(Self.containers)
    document.aiAgentID = chance.once(in: 5) ? nil : chance.pick(Self.sourceAgents)
    document.hasPattern = chance.once(in: 2)
  }

  /// Records the effect of the change on every key in the true history.
  private func record(_ change: SimulatedDatabase.Change, _ set: (String, String, Showing) -> Void) {
    let id: String
    var document: SimulatedDocument?
    switch change {
    case .insert(let new), .replace(let new), .update(let new): (id, document) = (new.id, new)
    case .delete(_, let gone): id = gone
    case .drop, .unknown: return
    }
    if let document, document.isInFilter, !document.isBad, let etag = document.etag {
      validator.learn(etag, document.label)
    }
    documents[change.collection.rawValue][id] = document
    var shown = claims[id] ?? [:]
    for key in document?.keys ?? [] where shown[key] == nil { shown[key] = .nothing }
    for (key, before) in shown {
      let now: Showing
      if let document, document.isInFilter, document.isBad {
        // Regardless of the keys that it claimed while it was valid.
        now = .bad
      } else if let document, document.keys.contains(key) {
        now = .label(document.label, rank: document.rank)
      } else {
        now = .nothing
      }
      // Writing the same content again is a change with a new revision.
      if now == .nothing, before == .nothing { continue }
      shown[key] = now
      set(key, id, now)
    }
    claims[id] = shown
  }
}

extension SimulatedDocument {
  /// The etag of the message that the product makes of the document. Notices identify a content only by it.
  fileprivate var etag: String? {
    bson.withObject { object in
      let bytes: [UInt8]? =
        switch collection {
        case .agentConfigs: (try? AgentConfigDocument(reading: object))?.encoded()
        case .prompts: (try? PromptDocument(reading: object))?.encoded()
        case .sourceConfigs: (try? SourceConfigDocument(reading: object))?.encoded()
        }
      return bytes.map { $0.withUnsafeBytes { ETag(of: $0).text } }
    }
  }
}

extension SimulatedDatabase.Change {
  fileprivate var keys: [String] {
    switch self {
    case .insert(let document), .replace(let document), .update(let document): document.keys
    case .delete, .drop, .unknown: []
    }
  }

  var text: String {
    func text(_ document: SimulatedDocument) -> String { document.label + (document.isBad ? " (bad)" : "") }
    return switch self {
    case .insert(let document): "insert \(text(document))"
    case .replace(let document): "replace \(text(document))"
    case .update(let document): "update \(text(document))"
    case .delete(_, let id): "delete \(id)"
    case .drop(let collection, let name): "\(name) \(collection.entity)"
    case .unknown(let collection): "unknown \(collection.entity)"
    }
  }
}
