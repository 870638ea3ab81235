public import Core

/// What a key answers, and since when. Immutable: any thread.
public final class Answer: Sendable {
  public let key: LookupKey
  /// The document that answers.
  public let entry: Entry
  /// Further documents that claim the key, in order of precedence.
  public let others: [Entry]
  /// The change that made this the answer; or, where the answer was read in a snapshot, a revision at which it held.
  /// Every change of the key up to this is in the answer, and none that came after it.
  public let revision: Revision
  /// When that change was committed.
  public let committedAt: WallTime
  /// The entry's bytes, and its etag in digits: here too, because the way through the entry is a miss of the
  /// processor's cache more, for every lookup.
  public let bytes: [UInt8]
  public let etagDigits: SIMD32<UInt8>

  init(
    key: LookupKey, entry: Entry, others: [Entry], revision: Revision, committedAt: WallTime
  ) {
    self.key = key
    self.entry = entry
    self.others = others
    self.revision = revision
    self.committedAt = committedAt
    bytes = entry.bytes
    etagDigits = entry.etag.digits
  }

  /// The same answer, as of a later change that left it as it was.
  func restated(at revision: Revision, _ committedAt: WallTime) -> Answer {
    guard revision > self.revision else { return self }
    return Answer(key: key, entry: entry, others: others, revision: revision, committedAt: committedAt)
  }
}
