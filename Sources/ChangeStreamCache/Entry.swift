public import BSON
internal import CXXHash
internal import Core

/// A hash of the bytes that are served: equal content, equal etag, on every server and across restarts.
///
/// XXH3, 128 bits, whose results are fixed since xxHash 0.8.0.
public struct ETag: Sendable, Hashable {
  public let high: UInt64
  public let low: UInt64

  public init(of bytes: UnsafeRawBufferPointer) {
    let hash = XXH3_128bits(bytes.baseAddress, bytes.count)
    high = hash.high64
    low = hash.low64
  }

  /// 32 hexadecimal digits, in ASCII.
  public var digits: SIMD32<UInt8> {
    var digits = SIMD32<UInt8>()
    for place in 0..<32 {
      let number = place < 16 ? high : low
      let digit = UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * (place % 16))) & 15
      digits[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
    }
    return digits
  }

  /// ``digits`` as text.
  public var text: String { withUnsafeBytes(of: digits) { String(decoding: $0, as: UTF8.self) } }
}

/// A good document as it is served. Immutable: any thread.
// Safe to share: every stored property of this class and of its one subclass is a `let` of a Sendable type.
public class Entry: @unchecked Sendable {
  public let id: DocumentID
  /// The cache key first, then the aliases.
  public let keys: [LookupKey]
  /// The key under which lists show the document.
  let listKey: LookupKey
  public let precedence: Precedence
  public let listings: [String]
  /// The bytes that are served; empty where the model has none.
  public let bytes: [UInt8]
  public let etag: ETag
  /// What lists show: ``CachedModel/summary()``.
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

  public var key: LookupKey { keys[0] }
  public var etagText: String { etag.text }
  /// The `_id` as text.
  public var itemID: String { id.text }

  /// Whether this answers before `other` where both claim a key: the one with the greater precedence does, then the one
  /// with the greater `_id` as text.
  func wins(over other: Entry) -> Bool {
    if precedence != other.precedence { return precedence > other.precedence }
    return other.id < id
  }
}

/// An entry with what its model keeps beside the bytes.
// Safe to share: see `Entry`.
public final class ModelEntry<Kept: Sendable>: Entry, @unchecked Sendable {
  public let kept: Kept

  fileprivate init(
    id: DocumentID, keys: [LookupKey], listKey: LookupKey, precedence: Precedence, listings: [String], bytes: [UInt8],
    etag: ETag, summary: [UInt8], kept: Kept
  ) {
    self.kept = kept
    super.init(
      id: id, keys: keys, listKey: listKey, precedence: precedence, listings: listings, bytes: bytes, etag: etag,
      summary: summary)
  }
}

/// What a document, as stored, means for the cache.
enum Reading: Sendable {
  /// It does not match the filter.
  case outside
  case good(Entry)
  /// It matches and breaks a rule.
  case bad(DocumentProblem)

  /// Decides the filter on the document as stored, first; then reads, checks and encodes it.
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
            listings: model.listings, bytes: encoded ?? [], etag: etag, summary: model.summary(), kept: model.kept))
      } catch {
        return .bad(error)
      }
    }
  }
}

extension DocumentProblem {
  /// A document that is too large to be served, which names the largest part of it.
  fileprivate static func tooLarge(_ count: Int, _ document: BSONObject) -> DocumentProblem {
    var path: [String] = []
    var part: BSONObject? = document
    // Deeper lie the parts of free-form fields, which are no fields of the model.
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
