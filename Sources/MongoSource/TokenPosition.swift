// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The position that a resume token of MongoDB contains.
///
/// A token is documented as opaque. Its beginning has been the same since MongoDB 4.0.7, and tools such as Debezium,
/// the Kafka connector and the shell's `decodeResumeToken()` read it: the field `_data` is a hexadecimal string with a
/// type byte `82`, a timestamp of eight bytes, the version (`2B02` or `2B04`), and the kind of token (`29` or
/// `2C0100`). Anything else is not read, and the cache then relies on operation times.
///
/// https://github.com/mongodb/mongo/blob/master/src/mongo/db/pipeline/resume_token.cpp
struct TokenPosition: Hashable {
  enum Kind: Hashable {
    /// A position without an event: the server has scanned its log up to an entry of this time.
    case highWaterMark
    /// The position of an event. Others of the same time may follow.
    case event
  }

  let time: Revision
  let kind: Kind

  init?(_ token: ResumeToken) {
    let bytes = token.document.withObject { object -> [UInt8]? in
      object.value("_data")?.stringBytes.map(Array.init)
    }
    guard let digits = bytes, digits.count >= 20, Self.number(digits[0..<2]) == 0x82,
      let seconds = Self.number(digits[2..<10]), let increment = Self.number(digits[10..<18])
    else { return nil }
    let rest = digits[18...]
    func has(_ text: String) -> Bool { String(decoding: rest, as: UTF8.self).uppercased().hasPrefix(text) }
    if has("2B0229") || has("2B0429") {
      kind = .highWaterMark
    } else if has("2B022C0100") || has("2B042C0100") {
      kind = .event
    } else if has("46") || has("5A") {
      // Version 0 continues with the collection, and has no kind: it may be the position of an event.
      kind = .event
    } else {
      return nil
    }
    time = Revision(seconds: UInt32(seconds), increment: UInt32(increment))
  }

  /// The number that hexadecimal digits stand for; nil if one of them is no digit.
  private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
    var number: UInt64 = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "A")...UInt8(ascii: "F"): number = number << 4 | UInt64(digit - UInt8(ascii: "A") + 10)
      case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
      default: return nil
      }
    }
    return number
  }
}

/// Derives from the tokens of a stream which changes it has returned.
struct TokenProof {
  /// Whether the stream is merged by a router from several shards. Then an event of another shard may follow at the
  /// time of any token, because events are sorted after marks of their time.
  let isRouter: Bool
  /// The position at which the stream was opened: the stream has not passed it yet.
  private let start: TokenPosition?
  /// The proof so far; nil if the tokens cannot be read.
  private(set) var received: ReceivedWatermark?

  init(start token: ResumeToken?, isRouter: Bool) {
    self.isRouter = isRouter
    start = token.flatMap(TokenPosition.init)
    received = start.map { ReceivedWatermark(before: $0.time) }
  }

  /// Records a token behind which no event of its reply is left.
  ///
  /// - Parameters:
  ///   - token: the token.
  ///   - isReplyEmpty: whether the reply had no events. An empty reply ends at the end of the server's log, so it
  ///     leaves nothing of an entry that was begun.
  mutating func passed(_ token: ResumeToken, isReplyEmpty: Bool) {
    guard let position = TokenPosition(token) else {
      received = nil
      return
    }
    let isWhole =
      switch position.kind {
      case .highWaterMark: !isRouter && position.time > (start?.time ?? .none)
      case .event: !isRouter && isReplyEmpty && position != start
      }
    let proven =
      isWhole ? ReceivedWatermark(through: position.time) : ReceivedWatermark(before: position.time)
    received = max(received ?? proven, proven)
  }
}
