// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// A message of MongoDB's wire protocol as received.
///
/// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
struct WireRequest {
  private static let message: UInt32 = 2013
  private static let query: UInt32 = 2004
  private static let reply: UInt32 = 1
  /// The flag of a message that has a checksum at its end.
  private static let hasChecksum: UInt32 = 1
  /// The flag of a message to which no reply is expected.
  private static let moreToCome: UInt32 = 2

  var id: UInt32
  var request: Request
  var expectsReply = true

  /// The length of the message that the bytes begin with; nil until it is known.
  static func length(of bytes: ArraySlice<UInt8>) -> Int? {
    bytes.count >= 4 ? Int(number(bytes, at: 0)) : nil
  }

  private static func number(_ bytes: ArraySlice<UInt8>, at offset: Int) -> UInt32 {
    let start = bytes.startIndex + offset
    return bytes[start..<(start + 4)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// Parses one whole message; nil if it is malformed or of another kind.
  init?(_ bytes: ArraySlice<UInt8>) {
    guard bytes.count > 21 else { return nil }
    id = Self.number(bytes, at: 4)
    let code = Self.number(bytes, at: 12)
    let flags = Self.number(bytes, at: 16)
    var rest = bytes.dropFirst(20)
    if code == Self.query {
      guard let end = rest.firstIndex(of: 0) else { return nil }
      let name = String(decoding: rest[..<end], as: UTF8.self)
      rest = rest[(end + 1)...].dropFirst(8)
      guard let body = Self.document(&rest) else { return nil }
      request = Request(body, database: Namespace(name).database)
      request.isLegacy = true
      return
    }
    guard code == Self.message else { return nil }
    if flags & Self.hasChecksum != 0 { rest = rest.dropLast(4) }
    expectsReply = flags & Self.moreToCome == 0
    var body: BSONDocument?
    var sequences: [String: [BSONDocument]] = [:]
    while let kind = rest.popFirst() {
      if kind == 0 {
        body = Self.document(&rest)
        guard body != nil else { return nil }
      } else {
        guard rest.count >= 4 else { return nil }
        let size = Int(Self.number(rest, at: 0))
        guard size >= 5, size <= rest.count else { return nil }
        var section = rest.prefix(size).dropFirst(4)
        rest = rest.dropFirst(size)
        guard let end = section.firstIndex(of: 0) else { return nil }
        let name = String(decoding: section[..<end], as: UTF8.self)
        section = section[(end + 1)...]
        var documents: [BSONDocument] = []
        while !section.isEmpty {
          guard let document = Self.document(&section) else { return nil }
          documents.append(document)
        }
        sequences[name] = documents
      }
    }
    guard let body else { return nil }
    request = Request(body)
    request.sequences = sequences
  }

  private static func document(_ bytes: inout ArraySlice<UInt8>) -> BSONDocument? {
    guard bytes.count >= 5 else { return nil }
    let length = Int(number(bytes, at: 0))
    guard length <= bytes.count else { return nil }
    defer { bytes = bytes.dropFirst(length) }
    return BSONDocument(bytes: Array(bytes.prefix(length)))
  }

  /// Appends the reply to the message.
  func appendReply(_ document: BSONDocument, id replyID: UInt32, to output: inout [UInt8]) {
    func append(_ number: UInt32) { withUnsafeBytes(of: number.littleEndian) { output.append(contentsOf: $0) } }
    if request.isLegacy {
      append(UInt32(36 + document.bytes.count))
      append(replyID)
      append(id)
      append(Self.reply)
      // The flag says that the server knows awaited data; then the cursor, the first place and the number of documents.
      for number: UInt32 in [8, 0, 0, 0, 1] { append(number) }
    } else {
      append(UInt32(21 + document.bytes.count))
      append(replyID)
      append(id)
      append(Self.message)
      append(0)
      output.append(0)
    }
    output.append(contentsOf: document.bytes)
  }
}
