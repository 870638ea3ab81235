// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
internal import ProtobufMessages

/// `bench`: looks up every agent config in turn and prints throughput and latency.
func runBench(_ words: [String], _ options: ToolOptions) throws -> Int32 {
  try expect(words)
  let requests = try agentRequests(options)
  let threadCount = min(options.threads, options.connections)
  let end = MonotonicTime.now.advanced(by: options.duration)
  let results = Locked<[BenchResult]>([])
  let failure = Locked<String?>(nil)
  let began = MonotonicTime.now
  let threads = (0..<threadCount).map { thread in
    let connections = options.connections / threadCount + (thread < options.connections % threadCount ? 1 : 0)
    return OSThread(name: "bench \(thread)") {
      do {
        let result = try load(options, requests, connections: connections, until: end)
        results.withLock { $0.append(result) }
      } catch {
        failure.withLock { $0 = "\(error)" }
      }
    }
  }
  for thread in threads { thread.join() }
  if let failure = failure.withLock({ $0 }) { throw ToolFailure(status: ExitStatus.unavailable, message: failure) }
  try report(results.withLock { $0 }, MonotonicTime.now.duration(since: began), options)
  return ExitStatus.success
}

/// The measurement of one thread.
private struct BenchResult: Sendable {
  /// Completed calls, the failed ones included.
  var calls = 0
  /// Calls with a status other than OK.
  var failed = 0
  /// The latency of each block of `depth` calls, in nanoseconds.
  var times: [UInt64] = []
}

/// The encoded requests for the agents that the server lists, about 10,000 at most.
private func agentRequests(_ options: ToolOptions) throws -> [[UInt8]] {
  let arena = ProtobufArena()
  let client = try ToolClient(options)
  var requests: [[UInt8]] = []
  var token = ""
  repeat {
    let list = arena.make(configlookup__v1__list_agent_configs_request__init) {
      $0.page_size = 100
      $0.page_token = arena.bytes(token)
    }
    token = try client.call("ListAgentConfigs", list, configlookup__v1__list_agent_configs_response__unpack) { page in
      for index in 0..<page.pointee.n_summaries {
        guard let summary = page.pointee.summaries[index]?.pointee else { continue }
        let request = arena.make(configlookup__v1__get_agent_config_request__init) {
          $0.agent_id = arena.bytes(summary.agent_id.buffer)
        }
        requests.append(ProtobufArena.pack(UnsafePointer(request)))
      }
      return page.pointee.next_page_token.repairedText
    }
  } while !token.isEmpty && requests.count < 10_000
  guard !requests.isEmpty else {
    throw ToolFailure(status: ExitStatus.notFound, message: "the server has no agent config to look up")
  }
  return requests
}

/// Keeps `depth` calls open on each connection: sends a block on each of them, then waits for the replies.
private func load(
  _ options: ToolOptions, _ requests: [[UInt8]], connections: Int, until end: MonotonicTime
) throws -> BenchResult {
  let connections = try benchConnections(options, requests, count: connections)
  var result = BenchResult()
  result.times.reserveCapacity(1_000_000)
  var next = 0
  while MonotonicTime.now < end {
    var sent: [MonotonicTime] = []
    for connection in connections {
      sent.append(.now)
      try connection.send(block: next)
      next += 1
    }
    for (connection, began) in zip(connections, sent) {
      result.failed += try connection.wait()
      result.calls += options.depth
      result.times.append(MonotonicTime.now.nanoseconds - began.nanoseconds)
    }
  }
  return result
}

private func report(_ results: [BenchResult], _ elapsed: Duration, _ options: ToolOptions) throws {
  let seconds = elapsed.seconds
  let calls = results.reduce(0) { $0 + $1.calls }
  let failed = results.reduce(0) { $0 + $1.failed }
  let times = results.flatMap(\.times).sorted()
  func microseconds(_ share: Double) -> Double {
    guard !times.isEmpty else { return 0 }
    return Double(times[min(times.count - 1, Int(Double(times.count) * share))]) / 1000
  }
  let rate = Double(calls) / seconds
  let fields: [(name: String, value: MessageTree)] = [
    ("protocol", .text(options.isGRPC ? "grpc" : "framed")), ("connections", .number("\(options.connections)")),
    ("depth", .number("\(options.depth)")), ("seconds", .number("\(seconds)")), ("calls", .number("\(calls)")),
    ("failed", .number("\(failed)")), ("calls_per_second", .number("\(rate)")),
    ("p50_us", .number("\(microseconds(0.5))")), ("p90_us", .number("\(microseconds(0.9))")),
    ("p99_us", .number("\(microseconds(0.99))")), ("max_us", .number("\(microseconds(1))")),
  ]
  if try options.printStructured(fields) { return }
  try printLine(
    "\(calls) lookups in \(rounded(seconds)) s on \(options.connections) connections, \(options.depth) deep: "
      + "\(Int(rate)) per second, \(failed) failed"
  )
  try printLine(
    "a block of \(options.depth): p50 \(rounded(microseconds(0.5))) µs, p90 \(rounded(microseconds(0.9))) µs, "
      + "p99 \(rounded(microseconds(0.99))) µs, max \(rounded(microseconds(1))) µs")
}

private func rounded(_ number: Double) -> Double {
  (number * 10).rounded() / 10
}
