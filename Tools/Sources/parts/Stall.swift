// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import FramedTransport
internal import Glibc
internal import LookupService
internal import TestSupport

/// Measures the latency of lookups over loopback while one reload removes every key under many watches:
/// `parts --stall KEYS WATCHES`.
///
/// One watch in a hundred is for all keys; each of the others has one of 90 key prefixes. The watches share 50
/// connections, whose clients read all notices. Each of four other connections makes a lookup every 10 ms.
func runStall(keys: Int, watches: Int) throws {
  let group = try EventLoopGroup(count: 2)
  let service = try PartsService(keys: keys, descriptionBytes: 100, workers: group.loops)
  let endpoint = FramedEndpoint(router: RPCRouter(service.service.methods), group: group)
  let server = try ConnectionServer(
    endpoint: endpoint, group: group, configuration: .init(listen: HostAndPort(host: "127.0.0.1", port: 0)),
    logger: .silent)
  defer { withExtendedLifetime(server) {} }
  let address = server.address.hostAndPort
  for connection in 0..<50 { try openWatches(connection, of: watches, address) }
  try poll("every watch is open") { service.service.subscriberCount == watches / 50 * 50 }
  try report("quiet") {
    let probes = Probes(address)
    usleep(3_000_000)
    return try probes.end()
  }
  try report("\(keys) keys removed under \(service.service.subscriberCount) watches") {
    let before = service.service.watchFigures.notices
    let probes = Probes(address)
    usleep(200_000)
    let began = MonotonicTime.now
    service.source.drop()
    // This thread has the priority of a cache's own thread.
    let cache = OSThread(name: "cache", urgency: .patient) { [cache = service.cache] in
      while cache.reader.count > 0 {
        cache.performStreamStep()
        cache.performReadStep()
      }
    }
    cache.join()
    let applied = MonotonicTime.now
    // Wait until no more notices are sent.
    var sent = service.service.watchFigures.notices
    while true {
      usleep(500_000)
      let now = service.service.watchFigures.notices
      if now == sent { break }
      sent = now
    }
    let ended = MonotonicTime.now
    let result = try probes.end()
    print(
      "  applied in \(tenths(applied.duration(since: began).seconds)) s, sent \(sent - before) notices in",
      "\(tenths(ended.duration(since: applied).seconds)) s, \(service.service.watchFigures.resyncs) RESYNCs")
    return result
  }
}

private func tenths(_ seconds: Double) -> Double { (seconds * 10).rounded() / 10 }

private func report(_ name: String, _ body: () throws -> [Double]) throws {
  print("\(name):")
  let seconds = try body().sorted()
  guard let longest = seconds.last else { throw TestFailure("no lookup was answered") }
  func milliseconds(_ part: Double) -> Double { (seconds[Int(Double(seconds.count - 1) * part)] * 1e5).rounded() / 100 }
  print(
    "  \(seconds.count) lookups: p50 \(milliseconds(0.5)) ms, p99 \(milliseconds(0.99)) ms, longest",
    "\((longest * 1e5).rounded() / 100) ms")
  fflush(nil)
}

/// Opens the watches of one connection. A thread of its own reads their notices.
private func openWatches(_ connection: Int, of watches: Int, _ address: HostAndPort) throws {
  let opened = Locked<Result<Void, TestFailure>?>(nil)
  // In a deployment, subscribers use other processors than the server: their threads have a low priority here.
  detachThread(name: "watches-\(connection)", urgency: .background) {
    do {
      let client = try FramedClient(address)
      var bytes: [UInt8] = []
      for number in 0..<(watches / 50) {
        let watch = connection * (watches / 50) + number
        // Field 1 is `entities`; field 3 is `key_prefixes`, with one of 90 prefixes.
        let request = WireMessage().with(1, 1)
        let prefix = "agent-\(10 + watch % 90)"
        bytes += FramedClient.encodeCall(
          id: UInt32(number + 1), "WatchInvalidations", (watch % 100 == 0 ? request : request.with(3, prefix)).encoded)
      }
      try client.send(bytes)
      opened.withLock { $0 = .success(()) }
      opened.signal()
      _ = try client.countReplies(.max, deadline: .now.advanced(by: .seconds(3600)))
    } catch {
      opened.withLock { $0 = .failure(TestFailure("\(error)")) }
      opened.signal()
    }
  }
  try opened.wait(until: .now.advanced(by: .seconds(60))) { $0 }?.get()
}

/// Four connections that each make a lookup every 10 ms. Any thread may use it.
private final class Probes: Sendable {
  private struct State: Sendable {
    var seconds: [Double] = []
    var isOver = false
    var running = 4
    var problem: String?
  }

  private let state = Locked(State())

  init(_ address: HostAndPort) {
    for number in 0..<4 {
      detachThread(name: "probe-\(number)") { [self] in
        do {
          let client = try FramedClient(address)
          let request = WireMessage().with(1, "other").encoded
          while !state.withLock({ $0.isOver }) {
            let began = MonotonicTime.now
            let call = try client.openCall("GetAgentConfig", request)
            _ = try client.nextReply(call, deadline: .now.advanced(by: .seconds(120)))
            let seconds = MonotonicTime.now.duration(since: began).seconds
            state.withLock { $0.seconds.append(seconds) }
            usleep(10_000)
          }
        } catch {
          state.withLock { $0.problem = "\(error)" }
        }
        state.withLock { $0.running -= 1 }
        state.signal()
      }
    }
  }

  /// Ends the connections.
  ///
  /// - Returns: the duration of each lookup, in seconds.
  /// - Throws: `TestFailure` if a lookup failed or was not answered.
  func end() throws -> [Double] {
    state.withLock { $0.isOver = true }
    let isEnded = state.wait(until: .now.advanced(by: .seconds(150))) { $0.running == 0 ? true : nil } != nil
    let (seconds, problem) = state.withLock { ($0.seconds, $0.problem) }
    if let problem { throw TestFailure(problem) }
    guard isEnded else { throw TestFailure("a lookup was never answered") }
    return seconds
  }
}
