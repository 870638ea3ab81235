// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupRPC
internal import ProtobufMessages

@testable internal import FramedTransport

/// Decodes the input as one frame without a length prefix, and as a stream of frames with length prefixes.
func fuzzFrame(_ input: UnsafeRawBufferPointer) {
  checkFrame(input)
  checkPlainCall(input)

  let whole = Stream(of: [input])
  for range in whole.frames { checkFrame(UnsafeRawBufferPointer(rebasing: input[range])) }
  // A short input is cut at every position. A long one is cut in the middle, and where its first byte determines.
  let count = input.count
  let cuts = count <= 64 ? Array(0...count) : [count / 2, Int(input[0]) * 257 % count]
  for cut in cuts {
    let halves = Stream(of: [UnsafeRawBufferPointer(rebasing: input[..<cut]), .init(rebasing: input[cut...])])
    expect(halves == whole, "cut at \(cut) of \(count): \(halves), not \(whole)")
  }
}

/// The positions of the frames in a stream, and the error that ended it.
private struct Stream: Equatable {
  var frames: [Range<Int>] = []
  var error: String?

  init(of pieces: [UnsafeRawBufferPointer]) {
    var bytes: [UInt8] = []
    var start = 0
    for piece in pieces {
      bytes.append(contentsOf: piece)
      do throws(FrameError) {
        while let range = try Self.nextFrame(bytes, start) {
          frames.append(range)
          start = range.upperBound
        }
      } catch {
        self.error = error.description
        return
      }
    }
  }

  /// Decodes the frame at `start`. Returns its range without the length prefix; nil if the frame is incomplete.
  private static func nextFrame(_ bytes: [UInt8], _ start: Int) throws(FrameError) -> Range<Int>? {
    let body = start + FramedLimits.prefixBytes
    let limit = FramedLimits().frameBytes
    var outcome: Result<Range<Int>?, FrameError> = .success(nil)
    bytes.withUnsafeBytes { buffer in
      let rest = UnsafeRawBufferPointer(rebasing: buffer[start...])
      do throws(FrameError) {
        guard case .frame(let count) = try FrameDecoder.prefix(rest, limit: limit) else { return }
        expect((1...limit).contains(count), "a frame of \(count) bytes")
        guard count <= buffer.count - body else { return }
        _ = try FrameDecoder.decode(UnsafeRawBufferPointer(rebasing: buffer[body..<(body + count)]))
        outcome = .success(body..<(body + count))
      } catch {
        outcome = .failure(error)
      }
    }
    return try outcome.get()
  }
}

/// Checks that `FrameDecoder` accepts the frames that protobuf-c accepts, and decodes the same values.
private func checkFrame(_ bytes: UnsafeRawBufferPointer) {
  let arena = ProtobufArena()
  let theirs = try? arena.unpack(bytes, by: configlookup__frame__v1__frame__unpack, limit: .max)
  do throws(FrameError) {
    let ours = try FrameDecoder.decode(bytes)
    guard let theirs else { fatalError("protobuf-c refuses the frame") }
    expect(agree(ours, theirs.pointee), "protobuf-c reads another frame")
    if case .call(let call) = ours.body { checkAgain(ours.callID, call) }
    if case .reply(let reply) = ours.body {
      _ = try? reply.metadata.values()
      // What was decoded is encoded to something that decodes to the same.
      if let details = reply.details { checkAgain(details) }
    }
  } catch {
    // protobuf-c truncates a field number to 29 bits, and accepts a bool of any wire type.
    let isStricter = ["a field number is out of range", "more has wire type"].contains(
      where: error.description.hasPrefix)
    expect(theirs == nil || isStricter, "protobuf-c accepts the frame: \(error)")
  }
  withExtendedLifetime(arena) {}
}

/// Checks that a call which the fast path parses has the same content for the decoder.
private func checkPlainCall(_ bytes: UnsafeRawBufferPointer) {
  var framed = withUnsafeBytes(of: UInt32(bytes.count).bigEndian) { Array($0) }
  framed += bytes
  framed.withUnsafeBytes { framed in
    guard let plain = PlainCall(framed, limit: .max) else { return }
    guard plain.count == framed.count, let frame = try? FrameDecoder.decode(bytes), case .call(let call) = frame.body
    else { fatalError("not a call") }
    expect(
      frame.callID == plain.id && call.method.elementsEqual(plain.method)
        && call.request.elementsEqual(plain.request) && call.metadata.count == 0, "another call")
  }
}

/// Checks that a decoded call that is encoded and decoded again is equal to the first.
private func checkAgain(_ id: UInt32, _ call: DecodedCall) {
  let metadata: RPCMetadata
  do throws(RPCStatus) {
    metadata = try call.metadata.values()
  } catch {
    expect([.invalidArgument, .resourceExhausted].contains(error.code), "metadata: \(error)")
    return
  }
  guard let method = String(validating: call.method, as: UTF8.self) else { return }
  let timeout = call.timeoutMilliseconds
  let bytes = FrameEncoder.call(
    id: id, method: method, request: Array(call.request), timeout: timeout == 0 ? nil : .milliseconds(timeout),
    metadata: metadata)
  bytes.withUnsafeBytes { bytes in
    let frame = try? FrameDecoder.decode(UnsafeRawBufferPointer(rebasing: bytes[FramedLimits.prefixBytes...]))
    guard let frame, frame.callID == id, case .call(let again) = frame.body else { fatalError("no call any more") }
    expect(
      again.method.elementsEqual(call.method) && again.request.elementsEqual(call.request)
        && again.timeoutMilliseconds == call.timeoutMilliseconds && (try? again.metadata.values()) == metadata,
      "another call")
  }
}

private func agree(_ ours: DecodedFrame, _ theirs: Configlookup__Frame__V1__Frame) -> Bool {
  guard ours.callID == theirs.call_id else { return false }
  switch ours.body {
  case .none: return theirs.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY__NOT_SET
  case .call(let call):
    guard theirs.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY_CALL, let other = theirs.call?.pointee else {
      return false
    }
    return call.method.elementsEqual(other.method.buffer) && call.request.elementsEqual(other.request.buffer)
      && call.timeoutMilliseconds == other.timeout_ms && agree(call.metadata, other.n_metadata, other.metadata)
  case .reply(let reply):
    guard theirs.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY_REPLY, let other = theirs.reply?.pointee else {
      return false
    }
    return reply.status == other.status && reply.message.elementsEqual(other.message.buffer)
      && reply.more == (other.more != 0) && reply.payload.elementsEqual(other.payload.buffer)
      && agree(reply.metadata, other.n_metadata, other.metadata)
  case .cancel: return theirs.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY_CANCEL
  case .ping(let nonce):
    return theirs.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY_PING && theirs.ping?.pointee.nonce == nonce
  case .pong(let nonce):
    return theirs.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY_PONG && theirs.pong?.pointee.nonce == nonce
  case .goAway(let reason):
    return theirs.body_case == CONFIGLOOKUP__FRAME__V1__FRAME__BODY_GO_AWAY
      && (theirs.go_away?.pointee.reason.buffer.elementsEqual(reason) ?? false)
  }
}

private func checkAgain(_ details: RPCErrorDetails) {
  var bytes: [UInt8] = []
  details.encode(field: DecodedReply.detailsField, to: &bytes)
  let again = bytes.withUnsafeBytes { RPCErrorDetails.decode($0, field: DecodedReply.detailsField) }
  // The domain and the metadata are encoded with the reason, and the delay in milliseconds.
  guard !details.reason.isEmpty else { return }
  expect(again?.reason == details.reason && again?.domain == details.domain, "another reason")
  expect(again?.metadata == details.metadata && again?.violations == details.violations, "other details")
  expect(again?.retryDelayMilliseconds == details.retryDelayMilliseconds, "another delay")
}

private func agree(
  _ ours: DecodedMetadata, _ count: Int,
  _ theirs: UnsafeMutablePointer<UnsafeMutablePointer<Configlookup__Frame__V1__Metadata>?>?
) -> Bool {
  guard ours.count == count else { return false }
  var index = 0
  var reader = WireReader(ours.message)
  while !reader.isAtEnd {
    guard let (number, type) = try? reader.tag() else { return false }
    guard number == ours.field else {
      guard (try? reader.skip(type)) != nil else { return false }
      continue
    }
    guard let (key, value) = try? FrameDecoder.pair(reader.lengthDelimited()), let other = theirs?[index]?.pointee,
      key.elementsEqual(other.key.buffer), value.elementsEqual(other.value.buffer)
    else { return false }
    index += 1
  }
  return index == count
}
