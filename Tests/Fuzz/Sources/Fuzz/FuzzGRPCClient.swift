// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import Glibc

@testable internal import GRPCTransport

/// Sends the input to a client that has a call and a stream open, followed by the end of the connection. The client
/// must read the same from it however it is split.
func fuzzGRPCClient(_ input: UnsafeRawBufferPointer) {
  let whole = Session(of: [input])
  expect(whole.end != .timedOut, "the client waits for more of a closed connection")
  let count = input.count
  let cuts = count == 0 ? [] : [count / 2, Int(input[0]) * 257 % count]
  for cut in cuts {
    let halves = Session(of: [UnsafeRawBufferPointer(rebasing: input[..<cut]), .init(rebasing: input[cut...])])
    expect(halves.agrees(with: whole), "cut at \(cut) of \(count): \(halves), not \(whole)")
  }
}

/// The replies and the end that a client reads from a connection that delivers pieces, and then ends.
private struct Session {
  private(set) var replies: [UInt32: [RPCClientReply]] = [:]
  private(set) var end = RPCClientError.Code.timedOut
  private(set) var goAwayReason: String?
  private var open: Set<UInt32> = []

  init(of pieces: [UnsafeRawBufferPointer]) {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { fatalError("no pair of sockets") }
    let client = GRPCClient(adopting: ends[0], of: HostAndPort(host: "127.0.0.1", port: 1), service: "test")
    open = [
      try? client.openCall("Call", [1]), try? client.openStream("Stream", [2]),
    ].reduce(into: []) { if let id = $1 { $0.insert(id) } }
    for piece in pieces {
      var sent = 0
      while sent < piece.count, end == .timedOut {
        let count = write(ends[1], piece.baseAddress.map { $0 + sent }, piece.count - sent)
        expect(count > 0 || errno == EAGAIN, "the client does not take what is there")
        sent += max(count, 0)
        read(client)
      }
    }
    close(ends[1])
    if end == .timedOut { read(client) }
    goAwayReason = client.goAwayReason
    open = []
  }

  /// Whether both sessions have the same replies and the same end. If the connection ends because of a protocol error,
  /// one session may have fewer replies: the connection can end before the client has sent the reset of a failed call.
  func agrees(with other: Session) -> Bool {
    guard end == other.end else { return false }
    if end == .connectionLost { return outcomes == other.outcomes && goAwayReason == other.goAwayReason }
    return [1, 3].allSatisfy { zip(outcomes[$0] ?? [], other.outcomes[$0] ?? []).allSatisfy { $0 == $1 } }
  }

  /// The replies, with all errors replaced by the same one. A call can fail by the server's reset or by the client's
  /// own, and the split of the input determines which of them comes first.
  private var outcomes: [UInt32: [RPCClientReply]] {
    replies.mapValues {
      $0.map { $0.status.code == .ok ? $0 : RPCClientReply(status: RPCStatus(clientSide: .unknown, "")) }
    }
  }

  /// Reads all received bytes. Afterwards the end is `timedOut` if the connection is still open.
  private mutating func read(_ client: GRPCClient) {
    do throws(RPCClientError) {
      // A ping makes the client read everything until its reply comes.
      while true { try client.ping(.max, deadline: .now) }
    } catch {
      end = error.code
    }
    for id in open.sorted() {
      while let reply = try? client.nextReply(id, deadline: .now) {
        replies[id, default: []].append(reply)
        if !reply.more {
          open.remove(id)
          break
        }
      }
    }
  }
}
