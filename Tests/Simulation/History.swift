// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import ConfigModels
public import Guarantees

/// One simulated history: two servers with one database, subscribers, and all kinds of events, in an order that a seed
/// determines. It runs on one thread, without sleeping and without a real clock. The validator checks everything that
/// is observable.
public final class History {
  /// A call that waits for its `min_revision`.
  struct Waiting {
    let lookup: Lookup
    let server: SimulatedServer
    let signal: Signal
    let timer: (any RPCTimer)?
    var patience: Int
  }

  final class Signal {
    var isReady = false
  }

  /// The seed that reproduces the history.
  public let seed: UInt64
  /// The events, if they are recorded.
  public private(set) var events: [String] = []
  /// The number of lookups.
  public internal(set) var lookupCount = 0
  /// The number of notices that subscribers received.
  public private(set) var noticeCount = 0
  /// The number of steps.
  public private(set) var stepCount = 0
  /// The violations of guarantees.
  public var violations: [Violation] { validator.violations }

  let traits: Traits
  let clock = SimulatedClock()
  let database: SimulatedDatabase
  var chance: Chance
  var validator: Validator
  var servers: [SimulatedServer] = []
  var lives = [0, 0]
  var subscribers: [Subscriber] = []
  var filters: [String: WatchFilter] = [:]
  var waiting: [Waiting] = []
  /// For each document, the keys that it ever claimed, and what each of them shows now because of it.
  var claims: [String: [String: Showing]] = [:]
  /// For each collection, the stored documents.
  var documents: [[String: SimulatedDocument]] = Collection.allCases.map { _ in [:] }
  /// For each key, the last recorded answer that several documents determine together.
  var recorded: [String: String] = [:]
  var recordedRows: [[ListRow]?] = Collection.allCases.map { _ in [] }
  var silent: [TrueHistory.Attempt] = []
  /// The collections in which documents were changed without an oplog entry.
  var unsureCollections: Set<Collection> = []
  /// For each server and list, the token and the last row of a page that has a next page.
  var walks: [String: (token: String, after: [String])] = [:]
  var writeCount: UInt64 = 0
  var depth = 0
  /// The keys of the last write.
  var lastWritten: (keys: [String], time: Revision)?
  private var noticedKeys: Set<String> = []
  /// Whether combinations are included that are outside of the guarantees.
  let isWild: Bool
  private let isVerbose: Bool

  /// Creates a history.
  ///
  /// - Parameters:
  ///   - seed: the seed, which determines everything.
  ///   - isWild: whether combinations are included that are outside of the guarantees.
  ///   - isVerbose: whether ``events`` are recorded.
  public init(seed: UInt64, isWild: Bool = false, isVerbose: Bool = false) {
    self.seed = seed
    self.isWild = isWild
    self.isVerbose = isVerbose
    var chance = Chance(seed: seed)
    traits = Traits(&chance)
    self.chance = chance
    database = SimulatedDatabase(clock, hasMajority: traits.hasMajority)
    validator = Validator(ttlMilliseconds: UInt64(SimulatedServer.Limits().ttl.milliseconds))
  }

  /// Runs a number of steps, or fewer if a guarantee is violated. Then lets all servers come to rest, and checks the
  /// final state.
  ///
  /// - Parameter steps: the maximum number of steps.
  public func run(steps: Int) {
    log("\(traits)")
    for _ in 0..<chance.below(8) { write() }
    for index in 0..<2 { start(index) }
    subscribers = (0..<3).map { index in
      Subscriber("client\(index)") { [weak self] subscriber, notice in self?.noticed(subscriber, notice) }
    }
    // Most histories concern the time after the first load.
    if !chance.once(in: 4) { for _ in 0..<12 { advance() } }
    for _ in 0..<steps where violations.isEmpty {
      stepCount += 1
      step()
    }
    if violations.isEmpty { settle() }
    for subscriber in subscribers { subscriber.cancel() }
    for server in servers { server.stop() }
  }

  /// Performs one random event.
  func step() {
    for server in servers { learnWarmth(server) }
    // A thread that answers a call does nothing else meanwhile: the state that it shares between its calls belongs to
    // this call.
    let isAnswering = servers.contains(where: \.isAnswering)
    if !isAnswering, chance.once(in: traits.faultOnceIn) { return fault() }
    let server = chance.pick(servers)
    switch chance.below(isAnswering ? 13 : 24) {
    case 0..<4: write()
    case 4..<11:
      let collection = chance.pick(Collection.allCases)
      for _ in 0...chance.below(4) { server.stepStream(collection) }
    case 11..<13: server.stepRead(chance.pick(Collection.allCases))
    case 13..<15: server.worker.runJobs()
    case 15..<17: pass(milliseconds: chance.below(200))
    case 17..<20: lookUpAnything(of: server)
    case 20: retryWaiting()
    case 21 where traits.hasPauses && chance.once(in: 4): pause(server)
    default: subscribe()
    }
  }

  /// Advances the time, and fires the servers' timers.
  func pass(milliseconds: Int) {
    clock.advance(milliseconds: milliseconds)
    database.tick(&chance)
    for server in servers where !server.isAnswering && chance.once(in: 2) { server.worker.fireTimers() }
  }

  // MARK: Servers

  /// Starts a server process.
  func start(_ index: Int) {
    lives[index] += 1
    let name = "server\(index).\(lives[index])"
    log("\(name) starts at \(database.now.short)")
    validator.started(name, at: database.visibleTime)
    var limits = SimulatedServer.Limits()
    limits.queuedKeys = traits.queuedKeys
    limits.replay = traits.replay
    limits.historyWindow = traits.historyWindow
    let sources = Collection.allCases.map {
      SimulatedSource(
        $0, database, clock, Chance(seed: chance.next()), duplicatesOnceIn: traits.hasDuplicates ? 3 : 0,
        looksUpLate: traits.looksUpLate, imageOnceIn: traits.imageOnceIn)
    }
    let server = SimulatedServer(name, sources, clock, limits)
    for source in sources {
      source.log = { [weak self] what in self?.log("\(name) \(what)") }
      source.betweenRows = { [weak self] in self?.goOn(1) }
      source.onTheWay = { [weak self, weak server] isReply in
        if let self, let server { self.wait(server, isReply: isReply) }
      }
    }
    server.label = { [weak self] in self?.validator.label($0) }
    server.betweenStores = { [weak self, weak server] in
      if let self, let server { self.look(at: server, betweenStoresOf: $0) }
    }
    server.betweenLooks = { [weak self, weak server] in
      if let self, let server { self.goOnBetweenLooks(of: $0, server) }
    }
    server.onPublished = { [weak self, weak server] in
      if let self, let server { self.look(at: server) }
    }
    if index < servers.count { servers[index] = server } else { servers.append(server) }
  }

  func restart(_ index: Int) {
    let old = servers[index]
    guard !old.isBusy else { return }
    for subscriber in subscribers where subscriber.server === old { close(subscriber) }
    waiting.removeAll { $0.server === old }
    old.stop()
    start(index)
  }

  /// A notice has just been delivered. A subscriber may receive it immediately, and perform a lookup.
  private func look(at server: SimulatedServer) {
    guard chance.once(in: 3), violations.isEmpty, !server.isAnswering else { return }
    server.isPublishing = true
    defer { server.isPublishing = false }
    noticedKeys = []
    server.worker.runJobs()
    // Which watch is notified first depends on addresses, but a seed must reproduce the same history.
    if let key = noticedKeys.max() { ask(Lookup(key, of: server.name), server) }
  }

  func learnWarmth(_ server: SimulatedServer) {
    if server.mayBeWarm { validator.mayBeWarm(server.name) }
  }

  // MARK: Recording events

  func noticed(_ subscriber: Subscriber, _ notice: SeenNotice) {
    noticeCount += 1
    if notice.kind == .upsert || notice.kind == .delete { noticedKeys.insert(notice.key) }
    log("\(subscriber.name) is told by \(subscriber.server?.name ?? ""): \(notice)")
    validator.noticed(subscriber.name, notice)
  }

  func log(_ text: @autoclosure () -> String) {
    if isVerbose { events.append(text()) }
  }
}

extension LookupReply {
  var text: String {
    switch result {
    case .found(let label, _, let revision):
      "\(label ?? "not modified")\(others.map { " others \($0)" } ?? "") @\(revision.short), "
        + "observed \(observed.short), \(ageMilliseconds) ms"
    case .composed(let label, _): "\(label), observed \(observed.short), \(ageMilliseconds) ms"
    case .notFound: "NOT_FOUND, observed \(observed.short)"
    case .refused(_, let text): text
    }
  }
}
