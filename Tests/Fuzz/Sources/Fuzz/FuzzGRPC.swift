// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

@testable internal import GRPCTransport

/// Runs the input through the gRPC parsers of this project: as frames after the preface, as messages, as lines of
/// headers, and as text.
func fuzzGRPC(_ input: UnsafeRawBufferPointer) {
  checkScanner(input)
  checkMessages(input)
  checkHeaders(input)
  checkText(input)
}

/// The positions at which an input is cut: every position of a short input; of a long one, the middle and a position
/// that its first byte determines.
private func cuts(_ input: UnsafeRawBufferPointer) -> [Int] {
  let count = input.count
  return count <= 24 ? Array(0...count) : [count / 2, Int(input[0]) * 257 % count]
}

// MARK: Frames

private func checkScanner(_ input: UnsafeRawBufferPointer) {
  var raw = HTTP2FrameScanner(headerBlockBytes: 1024)
  expect((0...input.count).contains(raw.scan(input).usable), "more bytes than there are")

  let (length, usable) = soundFrames(input)
  let sound = UnsafeRawBufferPointer(rebasing: input[..<length])
  let whole = scan([HTTP2FrameScanner.preface, Array(sound)])
  guard !whole.isBlockTooLong else { return }
  expect(whole.usable == HTTP2FrameScanner.preface.count + usable, "\(whole.usable) bytes, not those of \(usable)")
  for cut in cuts(sound) {
    let halves = scan([HTTP2FrameScanner.preface, Array(sound[..<cut]), Array(sound[cut...])])
    expect(halves == whole, "cut at \(cut) of \(length): \(halves), not \(whole)")
  }
}

/// Scans pieces as a connection does: each piece is appended to the unused bytes of the earlier ones.
private func scan(_ pieces: [[UInt8]]) -> HTTP2FrameScanner.Scan {
  var scanner = HTTP2FrameScanner(headerBlockBytes: 1024)
  var sum = HTTP2FrameScanner.Scan()
  var rest: [UInt8] = []
  for piece in pieces {
    rest += piece
    let scan = rest.withUnsafeBytes { scanner.scan($0) }
    sum.usable += scan.usable
    sum.cost += scan.cost
    // A connection would end here.
    if scan.isBlockTooLong { return HTTP2FrameScanner.Scan(isBlockTooLong: true) }
    rest.removeFirst(scan.usable)
  }
  return HTTP2FrameScanner.Scan(usable: sum.usable, cost: sum.cost)
}

/// Walks over the frames of the input.
///
/// - Returns: the length before the first frame that would end the connection, and the end of the last complete frame
///   in it. A header block is complete with its last frame only.
private func soundFrames(_ input: UnsafeRawBufferPointer) -> (length: Int, usable: Int) {
  var (place, usable) = (0, 0)
  var isInBlock = false
  while input.count - place >= 9 {
    let length = Int(input[place]) << 16 | Int(input[place + 1]) << 8 | Int(input[place + 2])
    let (type, endsHeaders) = (input[place + 3], input[place + 4] & 4 != 0)
    guard length <= HTTP2FrameScanner.maximumFrameBytes, !isInBlock || type == 9 else { return (place, usable) }
    guard place + 9 + length <= input.count else { break }
    place += 9 + length
    if isInBlock { isInBlock = !endsHeaders } else { isInBlock = type == 1 && !endsHeaders }
    if !isInBlock { usable = place }
  }
  return (input.count, usable)
}

// MARK: Messages

private struct Messages: Equatable {
  var bodies: [[UInt8]] = []
  var problem: RPCStatus?
  var hasRest = false

  init(of pieces: [ArraySlice<UInt8>]) {
    var decoder = GRPCMessageDecoder()
    for piece in pieces {
      piece.withUnsafeBytes { decoder.append($0) }
      do throws(RPCStatus) {
        while let place = try decoder.next(limit: 100) { bodies.append(decoder.withMessage(place) { Array($0) }) }
      } catch {
        problem = error
        return
      }
      decoder.dropRead()
    }
    hasRest = decoder.hasRest
  }
}

private func checkMessages(_ input: UnsafeRawBufferPointer) {
  let bytes = Array(input)
  let whole = Messages(of: [bytes[...]])
  for cut in cuts(input) {
    let halves = Messages(of: [bytes[..<cut], bytes[cut...]])
    expect(halves == whole, "cut at \(cut) of \(bytes.count): \(halves), not \(whole)")
  }
  if whole.problem == nil, !whole.hasRest {
    expect(whole.bodies.flatMap { GRPCMessageDecoder.prefix($0.count) + $0 } == bytes, "other messages")
  }
}

// MARK: Headers

private let oneMethod = RPCRouter([
  RPCMethod(service: "configlookup.v1.ConfigLookup", name: "GetPrompt", handler: .unary { _, _ in nil })
])

/// Checks the input as lines of headers, each a name and, after a colon, a value.
private func checkHeaders(_ input: UnsafeRawBufferPointer) {
  var limits = GRPCLimits()
  limits.metadataPairs = 4
  limits.metadataBytes = 100
  limits.headerListBytes = 500
  var request = GRPCRequestHead()
  var reply = GRPCReplyHead()
  for line in input.split(separator: UInt8(ascii: "\n")) {
    // The name of a pseudo-header begins with a colon.
    let end = line.dropFirst().firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
    let name = UnsafeRawBufferPointer(rebasing: input[line.startIndex..<end])
    let value = UnsafeRawBufferPointer(rebasing: input[min(end + 1, line.endIndex)..<line.endIndex])
    request.add(name, value, oneMethod, nil, limits)
    reply.add(name, value)
  }
  // One binary header may contain several values, separated by commas.
  expect(request.metadata.pairs.count <= limits.metadataPairs + limits.metadataBytes, "too many pairs")
  for pair in request.metadata.pairs + reply.metadata.pairs {
    expect(Array(pair.key.utf8).withUnsafeBytes(GRPCText.isKey), "\(pair.key) is no key")
    expect(!pair.key.hasPrefix("grpc-"), "\(pair.key) is gRPC's own")
  }
  if let refusal = request.refusal {
    expect(refusal.code != .ok && !refusal.message.isEmpty, "\(refusal)")
  } else {
    expect(request.method != nil, "neither a method nor a problem")
  }
  _ = reply.status
  request.reset()
  expect(request.refusal?.code == .unimplemented && request.metadata.isEmpty, "something is left of the call before")
}

// MARK: Texts

private func checkText(_ input: UnsafeRawBufferPointer) {
  if let nanoseconds = GRPCText.timeout(input) {
    expect(input.count <= 9 && nanoseconds <= 6_000_000_000_000_000_000, "a timeout of \(nanoseconds) ns")
  }
  _ = GRPCText.percentDecoded(input)
  if let text = String(validating: input, as: UTF8.self) {
    var encoded: [UInt8] = []
    GRPCText.percentEncoded(text, to: &encoded)
    expect(encoded.allSatisfy { (0x20...0x7e).contains($0) }, "a byte that no header may have")
    expect(encoded.withUnsafeBytes(GRPCText.percentDecoded).utf8.elementsEqual(input), "another text: \(text)")
  }
  var base64: [UInt8] = []
  GRPCText.base64(Array(input), to: &base64)
  expect(GRPCText.isBase64(base64), "no base64 of \(input.count) bytes")
}
