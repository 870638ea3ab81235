// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

/// A decoded `Frame`. It points into the bytes from which it was read, and is valid only while they are.
struct DecodedFrame {
  enum Body {
    /// The frame has no body, or one that this version does not support. It is ignored.
    case none
    case call(DecodedCall)
    case reply(DecodedReply)
    case cancel
    case ping(nonce: UInt64)
    case pong(nonce: UInt64)
    case goAway(reason: UnsafeRawBufferPointer)
  }

  var callID: UInt32 = 0
  var body = Body.none
}

/// A decoded `Call`. Its method name, keys and values have not been validated yet.
struct DecodedCall {
  var method = UnsafeRawBufferPointer(start: nil, count: 0)
  var request = UnsafeRawBufferPointer(start: nil, count: 0)
  var timeoutMilliseconds: UInt32 = 0
  var metadata = DecodedMetadata()
}

/// A decoded `Reply`.
struct DecodedReply {
  var status: UInt32 = 0
  var message = UnsafeRawBufferPointer(start: nil, count: 0)
  var more = false
  var payload = UnsafeRawBufferPointer(start: nil, count: 0)
  var metadata = DecodedMetadata()
  /// The encoded `Reply`, which contains the details.
  var bytes = UnsafeRawBufferPointer(start: nil, count: 0)

  /// The number of the field that contains the details.
  static let detailsField: UInt32 = 6

  /// The details of an error; nil if the reply has none.
  var details: RPCErrorDetails? { RPCErrorDetails.decode(bytes, field: Self.detailsField) }
}

/// The metadata of a `Call` or a `Reply`: the number of pairs, and the message that contains them.
struct DecodedMetadata {
  var count = 0
  /// The encoded `Call` or `Reply` that contains the pairs.
  var message = UnsafeRawBufferPointer(start: nil, count: 0)
  /// The number of the field that contains the pairs.
  var field: UInt32 = 0
}
