// SPDX-License-Identifier: Apache-2.0
import CConfigLookupProto

/// The contents of a frame as decoded and encoded by protobuf-c, for comparisons.
enum PlainFrame: Hashable {
  case none(UInt32)
  case call(UInt32, method: [UInt8], request: [UInt8], timeout: UInt32, pairs: [[UInt8]])
  case reply(
    UInt32, status: UInt32, message: [UInt8], more: Bool, payload: [UInt8], pairs: [[UInt8]],
    details: [[UInt8]])
  case cancel(UInt32)
  case ping(UInt32, UInt64)
  case pong(UInt32, UInt64)
  case goAway(UInt32, [UInt8])
}

private func array(_ data: ProtobufCBinaryData) -> [UInt8] {
  Array(UnsafeBufferPointer(start: data.data, count: data.len))
}

private func pairs(
  _ count: Int, _ list: UnsafeMutablePointer<UnsafeMutablePointer<Configlookup__Frame__V1__Metadata>?>?
) -> [[UInt8]] {
  (0..<count).flatMap { index -> [[UInt8]] in
    guard let pair = list?[index]?.pointee else { return [] }
    return [array(pair.key), array(pair.value)]
  }
}

private func details(_ reply: Configlookup__Frame__V1__Reply) -> [[UInt8]] {
  (0..<reply.n_details).flatMap { index -> [[UInt8]] in
    guard let any = reply.details?[index]?.pointee else { return [] }
    return [any.type_url.map { Array(String(cString: $0).utf8) } ?? [], array(any.value)]
  }
}

extension PlainFrame {
  /// Decodes the bytes after a length prefix with protobuf-c; nil if it rejects them.
  init?(unpacking bytes: [UInt8]) {
    guard let frame = configlookup__frame__v1__frame__unpack(nil, bytes.count, bytes) else { return nil }
    defer { configlookup__frame__v1__frame__free_unpacked(frame, nil) }
    let id = frame.pointee.call_id
    switch frame.pointee.body_case {
    case CONFIGLOOKUP__FRAME__V1__FRAME__BODY_CALL:
      guard let call = frame.pointee.call?.pointee else { return nil }
      self = .call(
        id, method: array(call.method), request: array(call.request), timeout: call.timeout_ms,
        pairs: pairs(call.n_metadata, call.metadata))
    case CONFIGLOOKUP__FRAME__V1__FRAME__BODY_REPLY:
      guard let reply = frame.pointee.reply?.pointee else { return nil }
      self = .reply(
        id, status: reply.status, message: array(reply.message), more: reply.more != 0, payload: array(reply.payload),
        pairs: pairs(reply.n_metadata, reply.metadata), details: details(reply))
    case CONFIGLOOKUP__FRAME__V1__FRAME__BODY_CANCEL: self = .cancel(id)
    case CONFIGLOOKUP__FRAME__V1__FRAME__BODY_PING: self = .ping(id, frame.pointee.ping?.pointee.nonce ?? 0)
    case CONFIGLOOKUP__FRAME__V1__FRAME__BODY_PONG: self = .pong(id, frame.pointee.pong?.pointee.nonce ?? 0)
    case CONFIGLOOKUP__FRAME__V1__FRAME__BODY_GO_AWAY:
      guard let goAway = frame.pointee.go_away?.pointee else { return nil }
      self = .goAway(id, array(goAway.reason))
    default: self = .none(id)
    }
  }
}

/// Encodes a call with protobuf-c.
func packedCall(id: UInt32, method: [UInt8], request: [UInt8], timeout: UInt32, pairs: [(String, String)]) -> [UInt8] {
  func data(_ bytes: [UInt8]) -> ProtobufCBinaryData {
    let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, bytes.count))
    copy.initialize(from: bytes, count: bytes.count)
    return ProtobufCBinaryData(len: bytes.count, data: copy)
  }
  var call = Configlookup__Frame__V1__Call()
  configlookup__frame__v1__call__init(&call)
  call.method = data(method)
  call.request = data(request)
  call.timeout_ms = timeout
  var list: [UnsafeMutablePointer<Configlookup__Frame__V1__Metadata>?] = pairs.map { key, value in
    let pair = UnsafeMutablePointer<Configlookup__Frame__V1__Metadata>.allocate(capacity: 1)
    configlookup__frame__v1__metadata__init(pair)
    pair.pointee.key = data(Array(key.utf8))
    pair.pointee.value = data(Array(value.utf8))
    return pair
  }
  defer {
    call.method.data.deallocate()
    call.request.data.deallocate()
    for pair in list {
      pair?.pointee.key.data.deallocate()
      pair?.pointee.value.data.deallocate()
      pair?.deallocate()
    }
  }
  var frame = Configlookup__Frame__V1__Frame()
  configlookup__frame__v1__frame__init(&frame)
  frame.call_id = id
  frame.body_case = CONFIGLOOKUP__FRAME__V1__FRAME__BODY_CALL
  return list.withUnsafeMutableBufferPointer { list in
    call.n_metadata = list.count
    call.metadata = list.baseAddress
    return withUnsafeMutablePointer(to: &call) { call in
      frame.call = call
      var bytes = [UInt8](repeating: 0, count: configlookup__frame__v1__frame__get_packed_size(&frame))
      configlookup__frame__v1__frame__pack(&frame, &bytes)
      return bytes
    }
  }
}
