// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import Glibc
import TestSupport
import Testing

@testable import ConfigLookupNetwork

/// Tests of connections to a name with several addresses, of which some do not answer.
@Suite struct ConnectTests {
  @Test func anAddressThatDropsPacketsDoesNotUseUpTheTime() throws {
    let (hole, listener) = (try BlackHole(), try Listening())
    for addresses in [[hole.address, listener.address], [hole.address, hole.address, listener.address]] {
      let began = MonotonicTime.now
      close(
        try connectSocket(to: twoAddresses, deadline: .now.advanced(by: .seconds(20)), resolver: resolver(addresses)))
      // Otherwise it would take the whole 20 s.
      #expect(MonotonicTime.now.duration(since: began) < .seconds(10))
    }
  }

  /// A timeout that is shorter than the usual delay between two attempts is divided among the addresses.
  @Test func aShortTimeIsShared() throws {
    let (hole, listener) = (try BlackHole(), try Listening())
    let addresses = resolver([hole.address, hole.address, listener.address])
    try poll("one of several attempts, on a machine that may be busy") {
      guard
        let descriptor = try? connectSocket(
          to: twoAddresses, deadline: .now.advanced(by: .milliseconds(200)), resolver: addresses)
      else { return false }
      close(descriptor)
      return true
    }
  }

  @Test func everyAddressIsNamedThatFails() throws {
    let (hole, closed) = (try BlackHole(), try closedAddress())
    let began = MonotonicTime.now
    let error = #expect(throws: NetworkError.self) {
      try connectSocket(
        to: twoAddresses, deadline: .now.advanced(by: .milliseconds(300)),
        resolver: resolver([hole.address, closed, closed]))
    }
    #expect(
      MonotonicTime.now.duration(since: began) >= .milliseconds(300), "the address that does not answer is waited for")
    let message = error?.message ?? ""
    #expect(
      message.contains("\(closed): Connection refused, \(closed): Connection refused, \(hole.address): Connection"))
    #expect(message.contains("timed out; is the server running?"), "\(message)")
    let refused = #expect(throws: NetworkError.self) {
      try connectSocket(
        to: twoAddresses, deadline: .now.advanced(by: .seconds(20)), resolver: resolver([closed, closed]))
    }
    #expect(refused?.message.contains("Connection refused") == true)
    #expect(throws: NetworkError.self) {
      try connectSocket(to: twoAddresses, deadline: .now.advanced(by: .seconds(20)), resolver: resolver([]))
    }
  }

  /// The address families alternate, beginning with the resolver's first.
  @Test func familiesTakeTurns() throws {
    let four = try closedAddress()
    let six = try #require(try SocketAddress.resolve(HostAndPort(host: "::1", port: four.port), passive: false).first)
    let error = #expect(throws: NetworkError.self) {
      try connectSocket(
        to: twoAddresses, deadline: .now.advanced(by: .seconds(20)), resolver: resolver([six, six, six, four]))
    }
    let order = (error?.message ?? "").split(separator: ",").map { $0.contains("127.0.0.1") ? 4 : 6 }
    #expect(order == [6, 4, 6, 6], "\(error?.message ?? "")")
  }

  /// A name server that does not answer delays the client until the deadline at most.
  @Test func aResolverThatHangs() throws {
    let isOver = Locked(false)
    let hanging = AddressResolver { _ in
      _ = isOver.waitForEver { $0 ? true : nil }
      return .success([])
    }
    defer {
      isOver.withLock { $0 = true }
      isOver.signal()
    }
    let error = #expect(throws: NetworkError.self) {
      try connectSocket(to: twoAddresses, deadline: .now.advanced(by: .milliseconds(100)), resolver: hanging)
    }
    #expect(error?.message.contains("name lookup") == true)
    // A numeric address needs no name server.
    let listener = try Listening()
    close(
      try connectSocket(to: listener.address.hostAndPort, deadline: .now.advanced(by: .seconds(20)), resolver: hanging))
  }
}

private let twoAddresses = HostAndPort(host: "two.example", port: 1)

private func resolver(_ addresses: [SocketAddress]) -> AddressResolver {
  AddressResolver { _ in .success(addresses) }
}

/// An address of this machine on which no socket listens.
private func closedAddress() throws -> SocketAddress {
  let port = try freePort()
  return try #require(try SocketAddress.resolve(HostAndPort(host: "127.0.0.1", port: port), passive: false).first)
}

/// A socket that listens on a free port of the loopback interface.
private final class Listening {
  let address: SocketAddress
  fileprivate let descriptor: Int32

  init(backlog: Int32 = 16) throws {
    let any = try #require(try SocketAddress.resolve(HostAndPort(host: "127.0.0.1", port: 0), passive: false).first)
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    self.descriptor = descriptor
    let isListening =
      descriptor >= 0 && any.withSockaddr { bind(descriptor, $0, $1) } == 0 && listen(descriptor, backlog) == 0
    guard isListening, let address = SocketAddress.local(of: descriptor) else { throw TestFailure("no listener") }
    self.address = address
  }

  deinit { close(descriptor) }
}

/// An address that answers no SYN, because its queue of connections to be accepted is full.
private final class BlackHole {
  private let listening: Listening
  private var waiting: [Int32] = []
  var address: SocketAddress { listening.address }

  init() throws {
    listening = try Listening(backlog: 0)
    for _ in 0..<4 {
      let flags = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
      let descriptor = socket(AF_INET, flags, 0)
      waiting.append(descriptor)
      _ = listening.address.withSockaddr { connect(descriptor, $0, $1) }
      if !waitForSocket(descriptor, writable: true, deadline: .now.advanced(by: .milliseconds(200))) { return }
    }
    throw TestFailure("the queue does not get full")
  }

  deinit { for descriptor in waiting { close(descriptor) } }
}
