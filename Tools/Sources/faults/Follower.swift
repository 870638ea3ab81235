// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import FramedTransport
internal import Guarantees
internal import ServiceTestSupport
internal import TestSupport

/// A subscriber with a near cache. It follows one server or alternates between both, and looks up the announced keys.
///
/// When its watch ends for any reason, it opens another one from its resume position. One thread runs it; any thread
/// may read its progress.
final class Follower: Sendable {
  enum Manner: Sendable {
    /// Stays with the server of this index.
    case steady(Int, Transport)
    /// Alternates between the servers at intervals, and between the protocols with them.
    case hopping
    /// Stays with the server of this index, and reads more slowly than the writers write.
    case slow(Int, Transport)
  }

  struct Seen: Sendable {
    /// By key: the labels that UPSERTs carried, and the number of DELETEs.
    var labels: [CacheKey: Set<String>] = [:]
    var deleteCounts: [CacheKey: Int] = [:]
    /// The number of UPSERTs and DELETEs, with repetitions, over each of the two protocols.
    var noticeCounts: [Transport: Int] = [:]
    /// The same number by each selector.
    var selectorCounts: [CacheKey.Selector: Int] = [:]
    var noticeCount: Int { noticeCounts.values.reduce(0, +) }
    var resyncCount = 0
    /// The number of watches that were opened.
    var watchCount = 0
    /// The number of watches that the server ended with OK after a PROGRESS with the reason `draining`.
    var drainedCount = 0
    var lastProblem = ""
  }

  private struct State: Sendable {
    /// The received notices with their servers, to find out afterwards how a change was lost.
    var trail: [String] = []
    var seen = Seen()
    var progress = Revision.none
    var epoch = ""
    /// Whether it must not be slow at the moment.
    var isUrged = false
  }

  let name: String
  let manner: Manner
  private let servers: [BenchServer]
  private let judge: Judge
  private let state = Locked(State())

  init(_ name: String, _ manner: Manner, servers: [BenchServer], judge: Judge) {
    self.name = name
    self.manner = manner
    self.servers = servers
    self.judge = judge
  }

  var seen: Seen { state.withLock { $0.seen } }
  /// The revision of the last PROGRESS of the open watch; the first one does not count, because no notice has been
  /// received before it.
  var progress: Revision { state.withLock { $0.progress } }
  var trail: [String] { state.withLock { $0.trail } }
  func urge(_ isUrged: Bool) { state.withLock { $0.isUrged = isUrged } }

  func run(seed: UInt64, until stop: StopSwitch) {
    var random = SeededRandom(seed: seed)
    var hops = 0
    while !stop.isSet {
      let (place, transport): (Int, Transport)
      switch manner {
      case .steady(let fixed, let spoken), .slow(let fixed, let spoken): (place, transport) = (fixed, spoken)
      case .hopping:
        // Both protocols are used with either server.
        (place, transport) = (hops % servers.count, hops / servers.count % 2 == 0 ? .frames : .gRPC)
        hops += 1
      }
      do {
        try follow(servers[place], transport, &random, stop)
      } catch {
        state.withLock { $0.seen.lastProblem = "\(error)" }
        stop.sleep(seconds: 0.02)
      }
      state.withLock { $0.progress = .none }
    }
  }

  /// Opens a watch and follows it until it breaks, or until it is time to change the server.
  private func follow(
    _ server: BenchServer, _ transport: Transport, _ random: inout SeededRandom, _ stop: StopSwitch
  ) throws {
    let client = try JudgedClient(server, over: transport, judge: judge)
    let start = judge.with { $0.validator.position(name) }
    let watch = try Watch(
      server.address,
      .init(
        startRevision: start?.rawValue ?? 0, epoch: start == nil ? "" : state.withLock { $0.epoch },
        sendsInitialState: start == nil, includesValues: true, progressMilliseconds: 100), over: transport)
    // The client's connection must be to the same life, so that the recorded name is right.
    guard server.life == client.life else { return }
    state.withLock { $0.seen.watchCount += 1 }
    var request = WatchRequest(of: client.life)
    request.start = start
    request.sendsInitialState = start == nil
    judge.with { $0.validator.opened(name, request) }
    let from = start.map { "start \($0.short)" } ?? "with the initial state"
    note("opens a watch of \(client.life) over \(transport), \(from)")
    defer { judge.with { $0.validator.closed(name) } }
    let leaving = MonotonicTime.now.advanced(by: .milliseconds(random.below(600) + 100))
    var isDraining = false
    var isFirst = true
    while !stop.isSet {
      let notice: WatchNotice
      do {
        // A PROGRESS is due every 0.1 s: without one the link is dead.
        notice = try watch.next(timeout: .seconds(4))
      } catch let status as RPCStatus {
        if status.code == .ok, isDraining { state.withLock { $0.seen.drainedCount += 1 } }
        throw status
      }
      isDraining = notice.kind == .progress && notice.reason == "draining"
      try take(notice, transport, client, &random)
      if notice.kind == .progress, !isFirst { state.withLock { $0.progress = Revision(notice.revision) } }
      isFirst = false
      if case .slow = manner, !state.withLock({ $0.isUrged }) { stop.sleep(seconds: 0.1) }
      if case .hopping = manner, MonotonicTime.now > leaving, notice.kind == .progress { return }
    }
  }

  private func take(
    _ notice: WatchNotice, _ transport: Transport, _ client: JudgedClient, _ random: inout SeededRandom
  ) throws {
    judge.with { $0.validator.noticed(name, seen(notice)) }
    note("\(client.life): \(seen(notice))")
    switch notice.kind {
    case .progress:
      state.withLock { $0.epoch = notice.epoch }
    case .resync:
      state.withLock { $0.seen.resyncCount += 1 }
      let keys = judge.allKeys.filter { notice.entity == 0 || $0.collection.rawValue + 1 == Int(notice.entity) }
      for key in keys { try client.look(key, keptBy: name) }
    case .upsert, .delete:
      guard let key = CacheKey(notice.cacheKey) else { throw TestFailure("no cache key: \(notice)") }
      if notice.reason != "initial_state" { count(notice, key, transport) }
      // An immediate lookup on the same server must return the announced state already.
      if case .slow = manner {
      } else {
        try client.look(key)
        judge.with { $0.noticedLookupCount += 1 }
      }
      // Sometimes also a lookup on the other server, which must not be older than the notice.
      if case .hopping = manner, random.once(in: 4), let other = servers.first(where: { $0 !== client.server }) {
        if let far = try? JudgedClient(other, over: transport, judge: judge) {
          _ = try? far.look(key, minimum: Revision(notice.revision))
        }
      }
    case .unspecified: throw TestFailure("a notice of no kind: \(notice)")
    }
  }

  private func note(_ text: String) {
    let line = "\(WallTime.now.iso8601) \(text)"
    state.withLock { $0.trail.append(line) }
  }

  private func count(_ notice: WatchNotice, _ key: CacheKey, _ transport: Transport) {
    state.withLock { state in
      state.seen.noticeCounts[transport, default: 0] += 1
      state.seen.selectorCounts[key.selector, default: 0] += 1
      if let content = notice.content, notice.kind == .upsert {
        state.seen.labels[key, default: []].insert(StoredDocument.label(of: content))
      } else {
        state.seen.deleteCounts[key, default: 0] += 1
      }
    }
  }

  private func seen(_ notice: WatchNotice) -> SeenNotice {
    let kind: SeenNotice.Kind =
      switch notice.kind {
      case .upsert: .upsert
      case .delete: .delete
      case .resync: .resync
      case .progress, .unspecified: .progress
      }
    var seen = SeenNotice(kind, at: Revision(notice.revision))
    let entities = Collection.allCases.map(\.entity)
    seen.key = notice.kind == .resync && notice.entity > 0 ? entities[Int(notice.entity) - 1] : notice.cacheKey
    if !notice.cacheKey.isEmpty { seen.selector = (notice.selector, notice.key) }
    seen.etag = notice.etag
    seen.previousETag = notice.previousETag
    seen.label = notice.content.map(StoredDocument.label)
    seen.epoch = notice.epoch
    seen.reason = notice.reason
    return seen
  }
}

/// Looks up random keys, on one server after the other, or the key of the last write with the write's own operation
/// time.
final class Reader: Sendable {
  private let servers: [BenchServer]
  private let transport: Transport
  private let judge: Judge

  init(servers: [BenchServer], over transport: Transport, judge: Judge) {
    self.servers = servers
    self.transport = transport
    self.judge = judge
  }

  /// - Parameter readsWrites: whether to look up the last write with its revision as `min_revision`, on both servers.
  func run(readsWrites: Bool, seed: UInt64, until stop: StopSwitch) {
    var random = SeededRandom(seed: seed)
    var clients: [JudgedClient?] = servers.map { _ in nil }
    while !stop.isSet {
      let place = random.below(servers.count)
      do {
        let client = try clients[place] ?? JudgedClient(servers[place], over: transport, judge: judge)
        clients[place] = client
        if readsWrites {
          if let (key, revision) = judge.with({ $0.lastWriteOfKey.max { $0.value < $1.value } }) {
            try client.look(key, minimum: revision)
          }
        } else if let key = judge.allKeys.randomElement(using: &random) {
          try client.look(key)
        }
      } catch {
        clients[place] = nil
      }
      stop.sleep(seconds: Double(random.below(10)) / 1000)
    }
  }
}
