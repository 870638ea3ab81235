// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import ConfigLookupNetwork
import ConfigLookupRPC
import FramedTransport
import TestSupport
import Testing

extension SocketTests {
  /// Tests that calls do not depend on how their bytes are divided in transit.
  struct SplitTests {
    /// Sends each of `parts` after the server has read the one before, and checks the answers to calls 1...count.
    private func check(_ test: TestServer, _ parts: [ArraySlice<UInt8>], _ requests: [[UInt8]]) throws -> Bool {
      let client = try test.client()
      var expected = test.group.counter(.bytesReceived)
      for part in parts where !part.isEmpty {
        try client.send(Array(part))
        expected += UInt64(part.count)
        eventually("read") { test.group.counter(.bytesReceived) == expected }
      }
      for (index, request) in requests.enumerated() {
        guard try client.nextReply(UInt32(index + 1), deadline: soon()).payload == request else { return false }
      }
      client.close()
      eventually("closed") { test.server.connectionCount == 0 }
      return true
    }

    private func frames(_ requests: [[UInt8]]) -> [UInt8] {
      requests.enumerated().flatMap { FramedClient.encodeCall(id: UInt32($0 + 1), "Echo", $1) }
    }

    private let small: [[UInt8]] = [[1, 2, 3], [], Array(repeating: 9, count: 20)]

    @Test func everySplitInTwo() throws {
      try withServer { test throws in
        let bytes = frames(small)
        for cut in 0...bytes.count {
          #expect(try check(test, [bytes[..<cut], bytes[cut...]], small), "cut at \(cut)")
        }
      }
    }

    @Test func byteByByte() throws {
      try withServer { test throws in
        let bytes = frames(small)
        #expect(try check(test, bytes.indices.map { bytes[$0...$0] }, small))
      }
    }

    @Test func randomCutsOfLargeAndSmallFrames() throws {
      var random = SplitMix(seed: .random(in: 0 ... .max))
      let seed = random.seed
      try withServer { test throws in
        for _ in 0..<20 {
          let sizes = (0..<6).map { _ in [0, 10, 4000, 4100, 30_000, 65_500].randomElement(using: &random) ?? 0 }
          let requests = sizes.map { size in (0..<size).map { _ in UInt8.random(in: 0...255, using: &random) } }
          let bytes = frames(requests)
          let cuts = (0..<8).map { _ in Int.random(in: 0...bytes.count, using: &random) }.sorted()
          let parts = zip([0] + cuts, cuts + [bytes.count]).map { bytes[$0..<$1] }
          #expect(try check(test, parts, requests), "seed \(seed)")
        }
      }
    }
  }
}
