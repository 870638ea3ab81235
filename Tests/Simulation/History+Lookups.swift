// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Guarantees

/// The calls of clients, and their times.
extension History {
  /// All names that a lookup of one key can contain.
  var lookupKeys: [String] { Collection.allCases.flatMap(lookupKeys) }

  func lookupKeys(_ collection: Collection) -> [String] {
    switch collection {
    case .agentConfigs: keyNames.map { "agent_config:\($0)" }
    case .prompts:
      keyNames.flatMap { ["prompt:\($0)", "prompt:\($0):staged", Self.testKey("agent_id", $0)] }
        + promptNames.flatMap {
          ["prompt.prompt_id:\($0)", "prompt.prompt_id:\($0):staged", Self.testKey("prompt_id", $0)]
        }
    case .sourceConfigs:
      keyNames.map { "source_config:\($0)" }
        + Self.containers.flatMap { ["source_config.container:\($0)", Self.blobKey($0)] }
        + Self.sourceAgents.map { "source_config.ai_agent_id:\($0)" }
    }
  }

  var keyNames: [String] { (0..<traits.keyCount).map { "k\($0)" } }
  /// The names of prompts. In a plain history each prompt has its own name; otherwise there are fewer names than
  /// documents, and more than agents.
  var promptNames: [String] { (0..<traits.keyCount + (traits.isPlain ? 0 : 1)).map { "p\($0)" } }

  func lookUpAnything(of server: SimulatedServer) {
    if chance.once(in: 6) { return lookUpPage(of: chance.pick(Collection.allCases), server) }
    var lookup = Lookup(chance.pick(lookupKeys), of: server.name)
    switch chance.below(6) {
    case 0: lookup.minimumRevision = database.now
    case 1:
      // A client that has written reads what it wrote.
      guard let written = lastWritten, let key = written.keys.randomElement(using: &chance) else { break }
      lookup.key = key
      lookup.minimumRevision = written.time
    case 2: lookup.maximumStalenessMilliseconds = UInt64(1 + chance.below(6000))
    default: break
    }
    if chance.once(in: 2), let subscriber = subscribers.first(where: { $0.server === server && !$0.isFinished }) {
      lookup.client = subscriber.name
      // A client that comes from another server requires at least the revision that it has seen there.
      lookup.minimumRevision = max(lookup.minimumRevision, subscriber.start ?? .none)
    }
    ask(lookup, server)
  }

  /// Requests a page of a list: the first one, or the one after a page that was returned before.
  func lookUpPage(of collection: Collection, _ server: SimulatedServer) {
    let list = Self.list(collection)
    let walk = chance.once(in: 3) ? nil : walks.removeValue(forKey: server.name + list)
    let page = PageRequest(of: list, after: walk?.after, size: 1 + chance.below(3))
    ask(Lookup(page, of: server.name), server, pageToken: walk?.token ?? "")
  }

  func ask(_ lookup: Lookup, _ server: SimulatedServer, pageToken: String = "") {
    let pending = validator.ask(lookup)
    switch server.lookUp(lookup, pageToken: pageToken) {
    case .reply(let reply):
      lookupCount += 1
      log("\(server.name) asked for \(lookup.key) >= \(lookup.minimumRevision.short): \(reply.text)")
      validator.answered(pending, reply)
      if lookup.page != nil, !server.pageToken.isEmpty, let last = server.lastKey {
        walks[server.name + lookup.key] = (server.pageToken, last)
      }
    case .wait(let wait):
      guard waiting.count < 4 else {
        validator.answered(pending, LookupReply(.refused(isUnavailable: true, wait.expired().description)))
        return
      }
      let signal = Signal()
      let timer = wait.begin { signal.isReady = true }
      waiting.append(
        Waiting(lookup: lookup, server: server, signal: signal, timer: timer, patience: 4 + chance.below(20)))
    }
  }

  /// Retries the calls that wait for a revision, where they are notified, and gives them up after a while.
  func retryWaiting() {
    let all = waiting
    waiting = []
    for var item in all {
      if item.signal.isReady {
        ask(item.lookup, item.server)
      } else if item.patience == 0 {
        item.timer?.cancel()
        validator.answered(validator.ask(item.lookup), LookupReply(.refused(isUnavailable: true, "waited in vain")))
      } else {
        item.patience -= 1
        waiting.append(item)
      }
    }
  }

  // MARK: Concurrent events

  /// Lets other threads run while one waits.
  func goOn(_ times: Int) {
    guard depth < 2 else { return }
    depth += 1
    for _ in 0..<chance.below(4) * times where violations.isEmpty { step() }
    depth -= 1
  }

  /// A request of the server to the database is on its way, or its reply is. Other threads and other processes
  /// continue. Or the server's process is paused, while everything else continues.
  func wait(_ server: SimulatedServer, isReply: Bool) {
    guard traits.hasPauses, depth < 2, chance.once(in: 60) else { return }
    if chance.once(in: 2) {
      if chance.once(in: 2) { pass(milliseconds: chance.below(1500)) }
      return goOn(2)
    }
    pause(server)
  }

  /// Pauses the server's process, during an event-loop iteration or between two.
  func pause(_ server: SimulatedServer) {
    let milliseconds = chance.pick([20, 150, 1000, 4000, 7000])
    log("\(server.name) stands still for \(milliseconds) ms")
    clock.advance(milliseconds: milliseconds)
    database.tick(&chance)
    for _ in 0..<chance.below(3) { write() }
    if chance.once(in: 2) { server.worker.pauseInTurn() }
    // The requests that were sent meanwhile are read now.
    for _ in 0..<chance.below(3) where violations.isEmpty && !server.isAnswering { lookUpAnything(of: server) }
  }

  /// The cache's thread has stored one answer of a publication and not yet the next one. A call may arrive now.
  func look(at server: SimulatedServer, betweenStoresOf collection: Collection) {
    guard chance.once(in: 3), violations.isEmpty, !server.isAnswering else { return }
    server.isPublishing = true
    defer { server.isPublishing = false }
    for _ in 0...chance.below(2) where violations.isEmpty {
      if chance.once(in: 4) {
        lookUpPage(of: collection, server)
      } else {
        ask(Lookup(chance.pick(lookupKeys(collection)), of: server.name), server)
      }
    }
  }

  /// A call has performed one lookup in the cache and may perform another. The cache may continue in between.
  func goOnBetweenLooks(of collection: Collection, _ server: SimulatedServer) {
    guard server.isAnswering, !server.isPublishing, depth < 2, chance.once(in: 6) else { return }
    depth += 1
    for _ in 0...chance.below(6) { server.stepStream(collection) }
    depth -= 1
  }
}
