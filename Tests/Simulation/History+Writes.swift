internal import BSON
internal import ChangeStreamCache
internal import ConfigModels
internal import Core
internal import Guarantees

extension History {
  /// Somebody writes: one change, or several at once.
  func write() {
    let count = traits.hasTransactions && chance.once(in: 4) ? 2 + chance.below(3) : 1
    var pending: [String: SimulatedDocument?] = [:]
    let changes = (0..<count).map { _ in randomChange(&pending) }
    let time = database.commit(changes, &chance)
    lastWritten = (changes.flatMap(\.keys), time)
    for change in changes {
      log("written at \(time.short): \(change.text)")
      record(change) { key, id, showing in validator.history.set(key, document: id, showing, at: time) }
    }
  }

  /// A change that no oplog tells of.
  func writeSilently() {
    var pending: [String: SimulatedDocument?] = [:]
    let change = randomChange(&pending)
    database.changeSilently(change, &chance)
    log("changed silently: \(change.text)")
    record(change) { key, id, showing in
      silent.append(validator.history.attempt(key, document: id, showing))
    }
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
    }
  }

  /// `pending` are the changes before it in the same transaction.
  private func randomChange(_ pending: inout [String: SimulatedDocument?]) -> SimulatedDatabase.Change {
    let collection = chance.pick(Collection.allCases)
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
    if collection == .prompts { document.promptID = "p-\(document.key)" }
    if !traits.isPlain, chance.once(in: 3) { document.major = 1 + chance.below(3) }
    document.isBad = traits.hasBadDocuments && chance.once(in: 4)
    return document
  }

  /// Tells the true history what the change means for every key.
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
    var shown = claims[id] ?? [:]
    for key in document?.keys ?? [] where shown[key] == nil { shown[key] = .nothing }
    for (key, before) in shown {
      let now: Showing
      if let document, document.isInFilter, document.isBad {
        // Whatever it claimed when it was good.
        now = .bad
      } else if let document, document.keys.contains(key) {
        now = .label(document.label, rank: document.rank)
      } else {
        now = .nothing
      }
      // The same content once more is a change: its revision is a new one.
      if now == .nothing, before == .nothing { continue }
      shown[key] = now
      set(key, id, now)
    }
    claims[id] = shown
  }
}

extension SimulatedDocument {
  /// Of the message that the product makes of it: notices have nothing else to say which content they are about.
  fileprivate var etag: String? {
    bson.withObject { object in
      let bytes: [UInt8]? =
        switch collection {
        case .agentConfigs: (try? AgentConfig(reading: object))?.encoded()
        case .prompts: (try? Prompt(reading: object))?.encoded()
        case .sourceConfigs: (try? SourceConfig(reading: object))?.encoded()
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
