// SPDX-License-Identifier: Apache-2.0
/// The meaning of the keys of one space: the request field that holds them, and how documents with the same key become
/// its answer.
public struct KeySpace: Sendable {
  /// The way in which the documents that claim a key become its answer.
  public enum Composition: Sendable, Hashable {
    /// The document with the greatest precedence is the answer.
    case winner
    /// Like ``winner``. The answer also names the other documents that claim the key, by their keys of the given space,
    /// each name once.
    case winnerNamingOthers(space: UInt8)
    /// The answer covers every document that claims the key and also answers its own primary key, in order of the
    /// primary keys. The first one is the value, and the answer names the others by their primary keys.
    case members
  }

  /// The request field by which an answer is looked up, as notices and cache keys name it. Nil if only lists use the
  /// space; its answers are not announced.
  public let selector: String?
  /// The last part of the space's cache keys, e.g. `staged`; nil for none.
  public let variant: String?
  /// The way in which documents with the same key become its answer.
  public let composition: Composition
  /// Builds an index over the members of an answer, once for each answer: see ``Answer/index``. It receives the value
  /// and the other documents, in order. Nil if the space has no index.
  public let makeIndex: (@Sendable ([Entry]) -> any AnyObject & Sendable)?

  /// Whether a key may have only one document. A second one is an error of the documents' authors, and is reported.
  var admitsOneDocument: Bool { selector != nil && composition == .winner }

  /// Creates a space.
  ///
  /// - Parameters:
  ///   - selector: the request field; nil for a space that only lists use.
  ///   - variant: the last part of the cache keys; nil for none.
  ///   - composition: the way in which documents with the same key become its answer.
  ///   - makeIndex: builds ``Answer/index``; nil for none.
  public init(
    selector: String?, variant: String? = nil, composition: Composition = .winner,
    makeIndex: (@Sendable ([Entry]) -> any AnyObject & Sendable)? = nil
  ) {
    self.makeIndex = makeIndex
    self.selector = selector
    self.variant = variant
    self.composition = composition
  }
}
