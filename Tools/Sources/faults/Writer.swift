// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Guarantees
internal import MongoSource
internal import TestSupport

/// A thread that writes to its own documents and keys, bypassing the proxies, and reports every write to the judge.
///
/// A write whose outcome is unknown is repeated unchanged until it is acknowledged. Before a repetition it has
/// certainly been executed or lost: writers' connections have no timeout, and break only when the database is killed.
final class Writer: Sendable {
  struct Pace: Sendable {
    /// The average time between two writes, in milliseconds.
    var milliseconds = 12
    /// The number of bytes in a document in addition to its label.
    var padding = 0
  }

  private struct Plan {
    let name: DocumentName
    let before: StoredDocument?
    let after: StoredDocument?
    let commands: [String]
  }

  private struct Model: Sendable {
    var documents: [DocumentName: StoredDocument] = [:]
    var lastLabel = 0
  }

  private static let documentsPerCollection = 4
  private static let keysPerCollection = 3

  let name: String
  private let database: String
  private let pool: MongoClientPool
  private let judge: Judge
  private let gate: WriterGate
  private let pace: Pace
  private let model = Locked(Model())

  init(_ name: String, in database: String, pool: MongoClientPool, judge: Judge, gate: WriterGate, pace: Pace = Pace())
  {
    self.name = name
    self.database = database
    self.pool = pool
    self.judge = judge
    self.gate = gate
    self.pace = pace
  }

  /// Writes until the stop.
  func run(seed: UInt64, until stop: StopSwitch) {
    var random = SeededRandom(seed: seed)
    while gate.enter() {
      step(&random, stop)
      gate.leave()
      stop.sleep(seconds: Double(random.below(2 * pace.milliseconds + 1)) / 1000)
    }
  }

  /// Makes one random write.
  func step(_ random: inout SeededRandom, _ stop: StopSwitch) {
    carryOut(plan(&random), stop)
  }

  // MARK: One write

  private func plan(_ random: inout SeededRandom) -> Plan {
    let collection = Collection.allCases[random.below(Collection.allCases.count)]
    let name = DocumentName(collection: collection, id: "\(self.name)d\(random.below(Self.documentsPerCollection))")
    let (before, label) = model.withLock { model in
      model.lastLabel += 1
      return (model.documents[name], "\(self.name)-\(model.lastLabel)")
    }
    var after = before ?? StoredDocument(key: "", standing: .active, label: "", padding: pace.padding)
    after.label = label
    guard before != nil else {
      place(&after, collection, &random)
      let command =
        random.once(in: 2)
        ? "{\"insert\": \"\(collection.name)\", \"documents\": [\(after.json(name))]}"
        : replacement(name, after)
      return Plan(name: name, before: nil, after: after, commands: [command])
    }
    switch random.below(20) {
    case 0..<8: return Plan(name: name, before: before, after: after, commands: [update(name, after)])
    case 8..<11: return Plan(name: name, before: before, after: after, commands: [replacement(name, after)])
    case 11..<13: return Plan(name: name, before: before, after: nil, commands: [deletion(name)])
    case 13..<15:
      // A delete and an insert of the same document, with nothing in between.
      let insertion = "{\"insert\": \"\(collection.name)\", \"documents\": [\(after.json(name))]}"
      return Plan(name: name, before: before, after: after, commands: [deletion(name), insertion])
    case 15..<17:
      place(&after, collection, &random)
      return Plan(name: name, before: before, after: after, commands: [move(name, after, &random)])
    default:
      let standings: [StoredDocument.Standing] =
        collection == .prompts ? [.hidden, .active, .staged] : [.hidden, .active]
      after.standing = standings[random.below(standings.count)]
      return Plan(name: name, before: before, after: after, commands: [move(name, after, &random)])
    }
  }

  /// Assigns the document to keys of the writer's own, by every selector. Documents share these keys.
  private func place(_ document: inout StoredDocument, _ collection: Collection, _ random: inout SeededRandom) {
    document.key = "\(name)k\(random.below(Self.keysPerCollection))"
    switch collection {
    case .agents: break
    case .prompts: document.promptID = "\(name)p\(random.below(Self.keysPerCollection))"
    case .sources:
      document.container = "\(name)c\(random.below(2))"
      document.aiAgentID = "\(name)a\(random.below(2))"
    }
  }

  private func update(_ name: DocumentName, _ document: StoredDocument) -> String {
    "{\"update\": \"\(name.collection.name)\", "
      + "\"updates\": [{\"q\": {\"_id\": \"\(name.id)\"}, \"u\": \(document.update(name))}]}"
  }

  /// Documents change their key, and enter and leave the filter, by updates and by replacements.
  private func move(_ name: DocumentName, _ document: StoredDocument, _ random: inout SeededRandom) -> String {
    random.once(in: 2) ? update(name, document) : replacement(name, document)
  }

  private func replacement(_ name: DocumentName, _ document: StoredDocument) -> String {
    "{\"update\": \"\(name.collection.name)\", "
      + "\"updates\": [{\"q\": {\"_id\": \"\(name.id)\"}, \"u\": \(document.json(name)), \"upsert\": true}]}"
  }

  private func deletion(_ name: DocumentName) -> String {
    "{\"delete\": \"\(name.collection.name)\", \"deletes\": [{\"q\": {\"_id\": \"\(name.id)\"}, \"limit\": 1}]}"
  }

  private func carryOut(_ plan: Plan, _ stop: StopSwitch) {
    // A delete and an insert are two writes, and each is visible.
    if plan.commands.count == 2 {
      make(plan.name, from: plan.before, to: nil, by: plan.commands[0], stop)
      make(plan.name, from: nil, to: plan.after, by: plan.commands[1], stop)
    } else {
      make(plan.name, from: plan.before, to: plan.after, by: plan.commands[0], stop)
    }
  }

  private func make(
    _ name: DocumentName, from before: StoredDocument?, to after: StoredDocument?, by command: String,
    _ stop: StopSwitch
  ) {
    let attempt = judge.attempt(name, from: before, to: after)
    guard let revision = retry(command, stop) else { return }
    record(name, after)
    judge.acknowledge([attempt], at: revision)
  }

  /// Repeats a write until it is acknowledged. Returns its operation time; nil if the run ended before.
  private func retry(_ command: String, _ stop: StopSwitch) -> Revision? {
    let deadline = MonotonicTime.now.advanced(by: .seconds(60))
    while true {
      do {
        return try pool.write(command, in: database)
      } catch {
        guard !stop.isSet else { return nil }
        guard MonotonicTime.now < deadline else {
          judge.trouble("writer \(name): not acknowledged within 60 s: \(error)")
          stop.set()
          return nil
        }
        judge.with { $0.retryCount += 1 }
        stop.sleep(seconds: 0.02)
      }
    }
  }

  // MARK: Whole collections. Only while the writers are paused.

  /// The writer's documents in the collection.
  func documents(in collection: Collection) -> [DocumentName: StoredDocument] {
    model.withLock { $0.documents.filter { $0.key.collection == collection } }
  }

  /// Replacements for the documents of the collection: each with another label, and one document less.
  func successors(in collection: Collection) -> [DocumentName: StoredDocument] {
    model.withLock { model in
      var documents = model.documents.filter { $0.key.collection == collection }
      if let gone = documents.keys.min(by: { $0.id < $1.id }) { documents[gone] = nil }
      for name in documents.keys {
        model.lastLabel += 1
        documents[name]?.label = "\(self.name)-\(model.lastLabel)"
      }
      return documents
    }
  }

  /// Records the current content of a document.
  func record(_ name: DocumentName, _ document: StoredDocument?) {
    model.withLock { $0.documents[name] = document }
  }
}

extension MongoClientPool {
  /// Runs a write command. Throws unless it is certainly executed. Returns its operation time.
  func write(_ json: String, in database: String) throws -> Revision {
    let reply = try command(BSONDocument(json: json), database: database)
    let (time, errorCode) = reply.withObject { reply in
      var code: Int32 = 0
      if let errors = reply.value("writeErrors").flatMap(BSONObject.init(elementsOf:)) {
        errors.forEach { _, error in
          code = BSONObject(elementsOf: error)?.value("code")?.int32 ?? -1
          return false
        }
      }
      return (reply.value("operationTime")?.timestamp, code)
    }
    // A repeated insert fails with this code if the first attempt was executed.
    let duplicateKey: Int32 = 11_000
    guard errorCode == 0 || errorCode == duplicateKey, let time else {
      throw TestFailure("write error \(errorCode), or no operationTime, to \(json.prefix(200))")
    }
    return Revision(seconds: time.seconds, increment: time.increment)
  }
}

/// A gate that pauses writers. Any thread.
final class WriterGate: Sendable {
  private struct State: Sendable {
    var isOpen = true
    var isOver = false
    var insideCount = 0
  }

  private let state = Locked(State())

  /// Waits until the gate is open. Returns false if the writer must end.
  func enter() -> Bool {
    while true {
      let answer = state.wait(until: soon(.seconds(3600))) { state -> Bool? in
        if state.isOver { return false }
        guard state.isOpen else { return nil }
        state.insideCount += 1
        return true
      }
      if let answer { return answer }
    }
  }

  func leave() {
    state.withLock { $0.insideCount -= 1 }
    state.signal()
  }

  /// Closes the gate, and waits until every writer has finished its write.
  func close() throws {
    state.withLock { $0.isOpen = false }
    let isEmpty = state.wait(until: soon(.seconds(70))) { $0.insideCount == 0 ? true : nil }
    guard isEmpty != nil else { throw TestFailure("a writer has not ended its write within 70 s") }
  }

  func open() {
    state.withLock { $0.isOpen = true }
    state.signal()
  }

  /// Makes the writers end.
  func end() {
    state.withLock { $0.isOver = true }
    state.signal()
  }
}
