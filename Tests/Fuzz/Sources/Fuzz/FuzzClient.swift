// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import ConfigLookupRPC
internal import Glibc

@testable internal import FramedTransport

/// Sends the input to a client, followed by the end of the connection. The client must read the same from it however it
/// is split.
func fuzzClient(_ input: UnsafeRawBufferPointer) {
  let whole = Session(of: [input])
  expect(whole.end != .timedOut, "the client waits for more of a closed connection")
  let count = input.count
  let cuts = count == 0 ? [] : [count / 2, Int(input[0]) * 257 % count]
  for cut in cuts {
    let halves = Session(of: [UnsafeRawBufferPointer(rebasing: input[..<cut]), .init(rebasing: input[cut...])])
    expect(halves == whole, "cut at \(cut) of \(count): \(halves), not \(whole)")
  }
}

/// The events and the end that a client reads from a connection that delivers pieces, and then ends.
private struct Session: Equatable {
  var events: [FramedEvent] = []
  var end = RPCClientError.Code.timedOut

  init(of pieces: [UnsafeRawBufferPointer]) {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { fatalError("no pair of sockets") }
    let client = FramedClient(adopting: ends[0], of: HostAndPort(host: "127.0.0.1", port: 1))
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
  }

  /// Reads all received bytes. Afterwards the end is `timedOut` if the connection is still open.
  private mutating func read(_ client: FramedClient) {
    do throws(RPCClientError) {
      while true { events.append(try client.nextEvent(deadline: .now)) }
    } catch {
      end = error.code
    }
  }
}
