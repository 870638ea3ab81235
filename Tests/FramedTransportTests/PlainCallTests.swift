// SPDX-License-Identifier: Apache-2.0
import ConfigLookupRPC
import Testing

@testable import FramedTransport

/// Compares the fast path with the general path.
struct PlainCallTests {
  private func call(
    id: UInt32 = 7, _ method: String = "Get", _ request: [UInt8] = [10, 1, 65], timeout: UInt32 = 0, pairs: Int = 0
  ) -> [UInt8] {
    var metadata = RPCMetadata()
    for pair in 0..<pairs { metadata.append("k\(pair)", "v") }
    return FrameEncoder.call(
      id: id, method: method, request: request, timeout: timeout == 0 ? nil : .milliseconds(timeout), metadata: metadata
    )
  }

  private func plain(_ bytes: [UInt8], limit: Int = 1000) -> (UInt32, method: [UInt8], request: [UInt8], count: Int)? {
    bytes.withUnsafeBytes { buffer in
      PlainCall(buffer, limit: limit).map {
        ($0.id, Array($0.method), Array($0.request), $0.count)
      }
    }
  }

  @Test(arguments: [1, 127, 128, .max] as [UInt32], [0, 1, 300, .max] as [UInt32])
  func aCallIsRead(id: UInt32, timeout: UInt32) throws {
    for size in [1, 2, 100, 127] {
      let request = (0..<size).map { UInt8($0) }
      let bytes = call(id: id, "GetAgentConfig", request, timeout: timeout)
      let (readID, method, readRequest, count) = try #require(plain(bytes + [1, 2, 3]))
      #expect(readID == id && method == Array("GetAgentConfig".utf8) && readRequest == request && count == bytes.count)
    }
  }

  @Test func whatIsNotPlainIsLeft() {
    #expect(plain(call(pairs: 1)) == nil)
    #expect(plain(call(id: 0)) == nil)
    #expect(plain(call(.init(), [])) == nil)
    #expect(plain(call("Get", [])) == nil)
    #expect(plain(call("Get", [UInt8](repeating: 1, count: 128))) == nil)
    #expect(plain(FrameEncoder.ping(1)) == nil)
    #expect(plain(FrameEncoder.cancel(id: 7)) == nil)
    #expect(plain([]) == nil)
  }

  @Test func aLongerFrameThanTheLimitIsLeft() {
    let bytes = call()
    #expect(plain(bytes, limit: bytes.count - 4) != nil)
    #expect(plain(bytes, limit: bytes.count - 5) == nil)
  }

  /// A frame that is truncated anywhere, or has any byte changed, is never read beyond its end, and never decoded to
  /// other values than by the general decoder.
  @Test func damagedCallsAreLeftOrReadAsTheDecoderDoes() {
    let good = call(id: 300, "GetPrompt", [10, 3, 97, 98, 99], timeout: 200)
    for count in 0..<good.count { #expect(plain(Array(good[..<count])) == nil) }
    for place in good.indices {
      for byte in 0...UInt8.max {
        var bytes = good
        bytes[place] = byte
        guard let (id, method, request, count) = plain(bytes, limit: 1 << 20) else { continue }
        let decoded = bytes.withUnsafeBytes { buffer -> Bool in
          let frame = try? FrameDecoder.decode(UnsafeRawBufferPointer(rebasing: buffer[4..<count]))
          guard let frame, case .call(let call) = frame.body else { return false }
          return frame.callID == id && call.method.elementsEqual(method) && call.request.elementsEqual(request)
        }
        #expect(decoded, "byte \(byte) at \(place)")
      }
    }
  }

  @Test(arguments: [0, 1, 127, 128, 65_535, .max] as [UInt32], [0, 1, 127, 128, 16_383, 16_384, 70_000])
  func repliesAreTheSame(id: UInt32, size: Int) {
    let head = [UInt8](repeating: 1, count: size / 3)
    let body = [UInt8](repeating: 2, count: size - size / 3)
    let reply = FrameEncoder.Reply(callID: id, status: .ok, more: false)
    let sizes = FrameEncoder.sizes(reply, payload: size, metadata: RPCMetadata())
    var long = [UInt8](repeating: 0xff, count: sizes.total)
    long.withUnsafeMutableBytes {
      FrameEncoder.write(reply, sizes, head: head, body: body, metadata: RPCMetadata(), into: $0)
    }
    let frame = PlainReplyFrame(id: id, payload: size)
    #expect(frame.count == sizes.total)
    var short = [UInt8](repeating: 0xee, count: frame.count)
    short.withUnsafeMutableBytes { room in
      guard var place = room.baseAddress else { return }
      head.withUnsafeBytes { frame.write(head: $0, to: &place) }
      body.withUnsafeBytes { place.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(place), byteCount: $0.count) }
    }
    #expect(short == long)
  }
}
