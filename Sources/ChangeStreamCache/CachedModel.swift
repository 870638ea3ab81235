public import BSON

/// What the cache has to know of a kind of document: its key, how to read it, and which documents count.
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
/// The rest has defaults.
public protocol CachedModel: Sendable {
  /// What the cache keeps of a model beside its encoded bytes.
  associatedtype Kept: Sendable = Self

  /// The first part of cache keys, the prefix of metrics, the name in logs: `agent_config`.
  static var entity: String { get }

  /// Which documents of the collection have an answer.
  static var filter: DocumentFilter { get }

  /// The top-level fields that ``key`` is made of; nil: not known. See ``keyFields(ofSpace:)``.
  static var keyFields: Set<String>? { get }

  /// The top-level fields that a document's key in a space is made of, and by which it has one there: an update that
  /// touches none of them, and none of the filter's, leaves it under its key. Nil: not known. By default ``keyFields``
  /// for the primary space, and nil for the others.
  static func keyFields(ofSpace space: UInt8) -> Set<String>?

  /// The spaces of keys by which documents are looked up, indexed by ``LookupKey/space``. The first is the primary one.
  static var keySpaces: [KeySpace] { get }

  /// Reads and checks a document. The problem that it throws names the field.
  init(reading document: BSONObject) throws(DocumentProblem)

  /// The primary key that the document answers.
  var key: LookupKey { get }

  /// Further keys by which the document can be looked up, each in a space of ``keySpaces``.
  var aliases: [LookupKey] { get }

  /// The key under which the lists of ``listings`` show the document, one of ``key`` and ``aliases``.
  var listKey: LookupKey { get }

  /// Settles which of several documents answers a key: the greatest; then the greater `_id` as text.
  var precedence: Precedence { get }

  /// The lists that the answer stands in.
  var listings: [String] { get }

  /// The bytes that are served for the document, made once when it changes; equal content must give equal bytes.
  /// Nil: nothing is kept, and the document's own bytes stand for its content.
  func encoded() -> [UInt8]?

  /// What lists show of the document, made once when it changes; empty where lists show nothing of the model.
  func summary() -> [UInt8]

  /// What to keep for ``ChangeStreamCache/ChangeStreamCache/value(for:)``.
  var kept: Kept { get }
}

extension CachedModel {
  public static var keyFields: Set<String>? { nil }
  /// The fields on which it depends under which announced keys a document answers, if under any; nil: not known.
  static var placingFields: Set<String>? {
    var all: Set<String> = []
    for space in announcedSpaces {
      guard let fields = space.placingFields else { return nil }
      all.formUnion(fields)
    }
    return all
  }
  public static func keyFields(ofSpace space: UInt8) -> Set<String>? { space == 0 ? keyFields : nil }
  /// The spaces whose answers are announced.
  static var announcedSpaces: [PastChanges.Space] {
    keySpaces.indices.filter { keySpaces[$0].selector != nil }.map { space in
      PastChanges.Space(
        number: UInt8(space), placingFields: keyFields(ofSpace: UInt8(space))?.union(filter.fields))
    }
  }
  public static var keySpaces: [KeySpace] { [KeySpace(selector: "key")] }

  /// The last part of the cache keys of a space, e.g. `staged`; nil for a space without one.
  public static func variant(ofSpace space: UInt8) -> String? {
    Int(space) < keySpaces.count ? keySpaces[Int(space)].variant : nil
  }

  /// The request field by which answers of a space are looked up; nil for a space whose answers are not announced.
  public static func selector(ofSpace space: UInt8) -> String? {
    Int(space) < keySpaces.count ? keySpaces[Int(space)].selector : nil
  }
  public var aliases: [LookupKey] { [] }
  public var listKey: LookupKey { key }
  public var precedence: Precedence { Precedence() }
  public var listings: [String] { [] }
  public func encoded() -> [UInt8]? { nil }
  public func summary() -> [UInt8] { [] }
}

extension CachedModel where Kept == Self {
  public var kept: Self { self }
}

/// A key: bytes, compared as bytes (`é` in two spellings is two keys, as it is for MongoDB), in one of a model's
/// spaces.
public struct LookupKey: Sendable, Hashable {
  /// Keys of two spaces never meet. 0 is the first: the cache keys without a variant.
  public let space: UInt8
  public let bytes: [UInt8]

  public init(_ text: String, space: UInt8 = 0) {
    self.space = space
    self.bytes = Array(text.utf8)
  }

  public init(bytes: [UInt8], space: UInt8) {
    self.space = space
    self.bytes = bytes
  }

  public var text: String { String(decoding: bytes, as: UTF8.self) }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(space)
    // All at once: an array's own way is byte by byte.
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
  }
}
