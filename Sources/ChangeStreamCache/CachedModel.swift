// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON

/// Describes one kind of document to the cache: the documents that count, their keys, and how to read them.
///
///     struct Country: CachedModel {
///       static let entity = "country"
///       static let filter = DocumentFilter.field("active", isOneOf: [.bool(true)])
///       let code: String
///       let name: String
///       init(reading document: BSONObject) throws(DocumentProblem) {
///         code = try document.nonEmptyString("code")
///         name = try document.string("name")
///       }
///       var key: LookupKey { LookupKey(code) }
///     }
///
/// All other requirements have default implementations.
public protocol CachedModel: Sendable {
  /// The value that the cache keeps for a document beside its encoded bytes; by default the model itself.
  associatedtype CachedValue: Sendable = Self

  /// The name of the entity: the first part of cache keys, the prefix of metrics and the name in logs, e.g.
  /// `agent_config`.
  static var entity: String { get }

  /// The filter that decides which documents of the collection count.
  static var filter: DocumentFilter { get }

  /// The top-level fields that ``key`` is made of; nil if they are not known. See ``keyFields(ofSpace:)``.
  static var keyFields: Set<String>? { get }

  /// Returns the top-level fields that decide whether a document has a key in a space, and which one. An update that
  /// touches none of them, and none of the filter's fields, leaves the document under its key.
  ///
  /// - Parameter space: the number of the space.
  /// - Returns: the fields; nil if they are not known. By default ``keyFields`` for the primary space and nil for all
  ///   others.
  static func keyFields(ofSpace space: UInt8) -> Set<String>?

  /// The spaces of keys by which documents are looked up, indexed by ``LookupKey/space``. The first one is the primary
  /// space.
  static var keySpaces: [KeySpace] { get }

  /// Reads and validates a document.
  ///
  /// - Parameter document: the document as stored in the collection.
  /// - Throws: a `DocumentProblem` that names the invalid field.
  init(reading document: BSONObject) throws(DocumentProblem)

  /// The document's key in the primary space.
  var key: LookupKey { get }

  /// The document's keys in the other spaces of ``keySpaces``.
  var aliases: [LookupKey] { get }

  /// The key under which the lists of ``listings`` contain the document: ``key`` or one of ``aliases``.
  var listKey: LookupKey { get }

  /// The sort key that decides which of several documents with the same key is served: the one with the greatest
  /// precedence, and among equals the one with the greatest `_id` as text.
  var precedence: Precedence { get }

  /// The names of the lists that contain the document.
  var listings: [String] { get }

  /// Returns the encoded bytes that are served for the document. The cache calls this once for each change of the
  /// document.
  ///
  /// - Returns: the bytes, which must be equal for equal content. Nil if no bytes are kept; the document's own bytes
  ///   then determine the etag.
  func encoded() -> [UInt8]?

  /// Returns the bytes that lists show for the document. The cache calls this once for each change of the document.
  ///
  /// - Returns: the bytes; empty if lists show nothing of the model.
  func summary() -> [UInt8]

  /// The value that ``ChangeStreamCache/ChangeStreamCache/value(for:)`` returns for the document.
  var cachedValue: CachedValue { get }
}

extension CachedModel {
  /// By default the fields of the key are not known.
  public static var keyFields: Set<String>? { nil }
  /// The fields that decide under which announced keys a document is found, if under any; nil if they are not known.
  static var placingFields: Set<String>? {
    var all: Set<String> = []
    for space in announcedSpaces {
      guard let fields = space.placingFields else { return nil }
      all.formUnion(fields)
    }
    return all
  }
  /// Returns the default: ``keyFields`` for the primary space, and nil for all others.
  ///
  /// - Parameter space: the number of the space.
  /// - Returns: the fields; nil if they are not known.
  public static func keyFields(ofSpace space: UInt8) -> Set<String>? { space == 0 ? keyFields : nil }
  /// The spaces whose answers are announced.
  static var announcedSpaces: [PastChanges.Space] {
    keySpaces.indices.filter { keySpaces[$0].selector != nil }.map { space in
      PastChanges.Space(
        number: UInt8(space), placingFields: keyFields(ofSpace: UInt8(space))?.union(filter.fields))
    }
  }
  /// By default there is one space, with the selector `key`.
  public static var keySpaces: [KeySpace] { [KeySpace(selector: "key")] }

  /// Returns the last part of the cache keys of a space, e.g. `staged`.
  ///
  /// - Parameter space: the number of the space.
  /// - Returns: the variant; nil for a space without one.
  public static func variant(ofSpace space: UInt8) -> String? {
    Int(space) < keySpaces.count ? keySpaces[Int(space)].variant : nil
  }

  /// Returns the request field by which answers of a space are looked up.
  ///
  /// - Parameter space: the number of the space.
  /// - Returns: the field's name; nil for a space whose answers are not announced.
  public static func selector(ofSpace space: UInt8) -> String? {
    Int(space) < keySpaces.count ? keySpaces[Int(space)].selector : nil
  }
  /// By default there are no keys beside ``key``.
  public var aliases: [LookupKey] { [] }
  /// By default lists use ``key``.
  public var listKey: LookupKey { key }
  /// By default all documents have equal precedence, so the greatest `_id` wins.
  public var precedence: Precedence { Precedence() }
  /// By default no list contains the document.
  public var listings: [String] { [] }
  /// By default no bytes are kept.
  ///
  /// - Returns: nil.
  public func encoded() -> [UInt8]? { nil }
  /// By default lists show nothing of the document.
  ///
  /// - Returns: no bytes.
  public func summary() -> [UInt8] { [] }
}

extension CachedModel where CachedValue == Self {
  /// By default the model itself is kept.
  public var cachedValue: Self { self }
}

/// A key in one of a model's spaces. Keys are compared as bytes: two Unicode spellings of `é` are two keys, as they are
/// in MongoDB.
public struct LookupKey: Sendable, Hashable {
  /// The number of the key's space. Keys of different spaces are never equal. Space 0 is the primary one.
  public let space: UInt8
  /// The bytes of the key.
  public let bytes: [UInt8]

  /// Creates a key from text.
  ///
  /// - Parameters:
  ///   - text: the key, which is stored as UTF-8.
  ///   - space: the number of the space; by default the primary space.
  public init(_ text: String, space: UInt8 = 0) {
    self.space = space
    self.bytes = Array(text.utf8)
  }

  /// Creates a key from bytes.
  ///
  /// - Parameters:
  ///   - bytes: the key.
  ///   - space: the number of the space.
  public init(bytes: [UInt8], space: UInt8) {
    self.space = space
    self.bytes = bytes
  }

  /// The key as text. Invalid UTF-8 is replaced by U+FFFD.
  public var text: String { String(decoding: bytes, as: UTF8.self) }

  /// Adds the space and the bytes to a hasher.
  ///
  /// - Parameter hasher: the hasher.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(space)
    // One call for all bytes, because an array's own implementation hashes byte by byte.
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}
