/// A `Frame` as it lies in the bytes it was read from; ends with them.
struct DecodedFrame {
  enum Body {
    /// None that is known here: to be ignored.
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

/// A `Call`, not yet checked for what a method, a key or a value may be.
struct DecodedCall {
  var method = UnsafeRawBufferPointer(start: nil, count: 0)
  var request = UnsafeRawBufferPointer(start: nil, count: 0)
  var timeoutMilliseconds: UInt32 = 0
  var metadata = DecodedMetadata()
}

/// A `Reply`.
struct DecodedReply {
  var status: UInt32 = 0
  var message = UnsafeRawBufferPointer(start: nil, count: 0)
  var more = false
  var payload = UnsafeRawBufferPointer(start: nil, count: 0)
  var metadata = DecodedMetadata()
}

/// The pairs of a `Call` or a `Reply`: how many, and the message to look them up in.
struct DecodedMetadata {
  var count = 0
  /// The `Call` or `Reply` around them.
  var message = UnsafeRawBufferPointer(start: nil, count: 0)
  /// The number of the field they are in.
  var field: UInt32 = 0
}
