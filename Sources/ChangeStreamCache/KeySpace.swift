/// What the keys of one space mean: which request field holds them, and how documents that share a key become its
/// answer.
public struct KeySpace: Sendable {
  /// How the documents that claim a key become its answer.
  public enum Composition: Sendable, Hashable {
    /// The document of the greatest precedence is the answer.
    case winner
    /// As ``winner``; the answer also names the other claimants by their keys of the space `others`, each name once.
    case winnerNamingOthers(space: UInt8)
    /// The answer covers every claimant that answers its own primary key, in order of that key. The first is the value,
    /// and the answer names the others by their primary keys.
    case members
  }

  /// The request field by which an answer is looked up, as notices and cache keys name it; nil: only lists use the
  /// space, and its answers are not announced.
  public let selector: String?
  /// The last part of the space's cache keys, e.g. `staged`; nil for none.
  public let variant: String?
  public let composition: Composition
  /// Makes something to find one of an answer's members by, once for each answer: see ``Answer/index``. It is given the
  /// value and the others, in order.
  public let makeIndex: (@Sendable ([Entry]) -> any AnyObject & Sendable)?

  /// Whether one document per key is the rule: a second one is a mistake of its authors, and is reported.
  var admitsOneDocument: Bool { selector != nil && composition == .winner }

  /// Describes a space.
  ///
  /// - Parameters:
  ///   - selector: the request field; nil for a space that only lists use.
  ///   - variant: the last part of the cache keys; nil for none.
  ///   - composition: how several claimants of a key become its answer.
  ///   - makeIndex: makes ``Answer/index``; nil for none.
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
