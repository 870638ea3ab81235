// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import FramedTransport
internal import GRPCTransport

/// A connection of the load generator: sends the lookups of a block at once and then waits for their replies.
protocol BenchConnection {
  /// Sends the requests of a block.
  func send(block: Int) throws
  /// Waits for the replies of the block.
  ///
  /// - Returns: The number of calls with a status other than OK.
  func wait() throws -> Int
}

/// Connects and encodes the blocks in advance: the load generator must use less time than the server that it measures.
func benchConnections(_ options: ToolOptions, _ requests: [[UInt8]], count: Int) throws -> [any BenchConnection] {
  let blocks = (0..<min(requests.count, 1000)).map { start in
    (0..<options.depth).map { requests[(start + $0) % requests.count] }
  }
  if options.isGRPC {
    let calls = blocks.map { $0.map { RPCOutgoingCall("GetAgentConfig", $0, isStream: false) } }
    return try (0..<count).map { _ in GRPCBenchConnection(client: try GRPCClient(options), blocks: calls) }
  }
  let frames = blocks.map { block in
    Array(block.enumerated().map { FramedClient.encodeCall(id: UInt32($0 + 1), "GetAgentConfig", $1) }.joined())
  }
  return try (0..<count).map { _ in
    FramedBenchConnection(client: try FramedClient(options), blocks: frames, depth: options.depth)
  }
}

private struct FramedBenchConnection: BenchConnection {
  let client: FramedClient
  let blocks: [[UInt8]]
  let depth: Int

  func send(block: Int) throws {
    try client.send(blocks[block % blocks.count])
  }

  func wait() throws -> Int {
    try client.countReplies(depth, deadline: .now.advanced(by: client.callTimeout))
  }
}

private struct GRPCBenchConnection: BenchConnection {
  let client: GRPCClient
  let blocks: [[RPCOutgoingCall]]

  func send(block: Int) throws {
    try client.openCounted(blocks[block % blocks.count])
  }

  func wait() throws -> Int {
    try client.countReplies(blocks[0].count, deadline: .now.advanced(by: client.callTimeout))
  }
}
