// SPDX-License-Identifier: Apache-2.0
internal import CXXHash
public import ConfigLookupBSON
internal import ConfigLookupCore

/// A hash of the encoded bytes. Equal content has an equal etag, on every server and across restarts.
///
/// The hash is XXH3 with 128 bits, whose results have been fixed since xxHash 0.8.0.
public struct ETag: Sendable, Hashable {
  /// The upper 64 bits.
  public let high: UInt64
  /// The lower 64 bits.
  public let low: UInt64

  /// Computes the etag of bytes.
  ///
  /// - Parameter bytes: the bytes that are served.
  public init(of bytes: UnsafeRawBufferPointer) {
    let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
    high = hash.high64
    low = hash.low64
  }

  /// The etag as 32 hexadecimal digits in ASCII.
  public var digits: SIMD32<UInt8> {
    var digits = SIMD32<UInt8>()
    for place in 0..<32 {
      let number = place < 16 ? high : low
      let digit = UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * (place % 16))) & 15
      digits[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
    return digits
  }

  /// The etag as text: ``digits``.
  public var text: String { withUnsafeBytes(of: digits) { String(decoding: $0, as: UTF8.self) } }
}

// Safe to share: every stored property of this class and of its one subclass is a `let` of a Sendable type.
/// A valid document in the form in which it is served. It is immutable, so any thread may use it.
public class Entry: @unchecked Sendable {
  /// The document's `_id`.
  public let id: DocumentID
  /// The keys of the document: the primary key first, then the aliases.
  public let keys: [LookupKey]
  /// The key under which lists contain the document.
  let listKey: LookupKey
  /// The document's precedence among the documents with the same key.
  public let precedence: Precedence
  /// The names of the lists that contain the document.
  public let listings: [String]
  /// The encoded bytes that are served; empty where the model has none.
  public let bytes: [UInt8]
  /// The etag of the content.
  public let etag: ETag
  /// The bytes that lists show: ``CachedModel/summary()``.
  public let summary: [UInt8]

  fileprivate init(
    id: DocumentID, keys: [LookupKey], listKey: LookupKey, precedence: Precedence, listings: [String], bytes: [UInt8],
    etag: ETag, summary: [UInt8]
  ) {
    self.id = id
    self.keys = keys
    self.listKey = listKey
    self.precedence = precedence
    self.listings = listings
    self.bytes = bytes
    self.etag = etag
    self.summary = summary
  }

  /// The primary key of the document.
  public var key: LookupKey { keys[0] }
  /// The etag as text.
  public var etagText: String { etag.text }
  /// The `_id` as text.
  public var itemID: String { id.text }

  /// Whether this document wins over `other` where both claim a key. The greater precedence wins; if they are equal,
  /// the greater `_id` as text.
  func wins(over other: Entry) -> Bool {
    if precedence != other.precedence { return precedence > other.precedence }
    return other.id < id
  }
}

/// An entry with the value that its model keeps beside the bytes.
public final class ModelEntry<CachedValue: Sendable>: Entry, @unchecked Sendable {
  // Safe to share: `cachedValue` is constant and Sendable; for what is inherited, see `Entry`.

  /// The value that the model keeps: ``CachedModel/cachedValue``.
  public let cachedValue: CachedValue

  fileprivate init(
    id: DocumentID, keys: [LookupKey], listKey: LookupKey, precedence: Precedence, listings: [String], bytes: [UInt8],
    etag: ETag, summary: [UInt8], cachedValue: CachedValue
  ) {
    self.cachedValue = cachedValue
    super.init(
      id: id, keys: keys, listKey: listKey, precedence: precedence, listings: listings, bytes: bytes, etag: etag,
      summary: summary)
  }
}

/// The result of reading a stored document.
enum Reading: Sendable {
  /// The document does not match the filter.
  case outside
  /// The document is valid.
  case good(Entry)
  /// The document matches the filter and violates a rule.
  case bad(DocumentProblem)

  /// Evaluates the filter on the document as stored, and then reads, validates and encodes the document.
  init<Model: CachedModel>(_ document: BSONDocument, id: DocumentID, as model: Model.Type) {
    self = document.withObject { object in
      guard Model.filter.matches(object) else { return .outside }
      do throws(DocumentProblem) {
        let model = try Model(reading: object)
        let encoded = model.encoded()
        if let encoded, encoded.count > ServedSize.documentBytes { return .bad(.tooLarge(encoded.count, object)) }
        let etag = (encoded ?? document.bytes).withUnsafeBytes { ETag(of: $0) }
        return .good(
          ModelEntry(
            id: id, keys: [model.key] + model.aliases, listKey: model.listKey, precedence: model.precedence,
            listings: model.listings, bytes: encoded ?? [], etag: etag, summary: model.summary(),
            cachedValue: model.cachedValue))
      } catch {
        return .bad(error)
      }
    }
  }
}

extension DocumentProblem {
  /// The problem of a document that is too large to be served. It names the document's largest part.
  fileprivate static func tooLarge(_ count: Int, _ document: BSONObject) -> DocumentProblem {
    var path: [String] = []
    var part: BSONObject? = document
    // Deeper levels are parts of free-form fields, which are not fields of the model.
    while path.count < 2, let object = part {
      var largest: (name: String, value: BSONValue)?
      object.forEach { name, value in
        if value.bytes.count > largest?.value.bytes.count ?? -1 {
          largest = (String(decoding: name, as: UTF8.self), value)
        }
        return true
      }
      guard let largest else { break }
      path.append(largest.name)
      part = largest.value.type == .object ? BSONObject(elementsOf: largest.value) : nil
    }
    return DocumentProblem(
      field: path.joined(separator: "."),
      problem: "is the largest part of a document of \(count) bytes (encoded); the limit is "
        + "\(ServedSize.documentBytes)")
  }
}
