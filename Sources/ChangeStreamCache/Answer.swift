public import Core
internal import Glibc

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
  // Here too, because each way through another object is a miss of the processor's cache more, for every lookup.
  /// The entry's bytes.
  public let bytes: [UInt8]
  /// Where they lie: as long as the answer is held.
  // Safe to share, and to keep: an array that is held as a constant neither moves nor changes, and `bytes` holds it.
  public nonisolated(unsafe) let lentBytes: UnsafeRawBufferPointer
  /// The entry's etag, in digits.
  public let etagDigits: SIMD32<UInt8>
  /// The first bytes of the key, and how many there are in all.
  private let keyStart: SIMD32<UInt8>
  private let keyCount: Int

  /// How many lines of the processor's cache an answer lies in, or nearly so.
  static let cacheLines = 4

  init(
    key: LookupKey, entry: Entry, others: [Entry], revision: Revision, committedAt: WallTime
  ) {
    self.key = key
    self.entry = entry
    self.others = others
    self.revision = revision
    self.committedAt = committedAt
    bytes = entry.bytes
    lentBytes = bytes.withUnsafeBytes { $0 }
    etagDigits = entry.etag.digits
    var start = SIMD32<UInt8>()
    withUnsafeMutableBytes(of: &start) { $0.copyBytes(from: key.bytes.prefix($0.count)) }
    keyStart = start
    keyCount = key.bytes.count
  }

  /// Whether the key is this one.
  @inline(__always)
  func answers(_ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard key.space == space, keyCount == bytes.count else { return false }
    guard let start = bytes.baseAddress else { return true }
    guard bytes.count <= 32 else { return memcmp(key.bytes, start, bytes.count) == 0 }
    return withUnsafePointer(to: keyStart) { memcmp($0, start, bytes.count) == 0 }
  }

  /// The same answer, as of a later change that left it as it was.
  func restated(at revision: Revision, _ committedAt: WallTime) -> Answer {
    guard revision > self.revision else { return self }
    return Answer(key: key, entry: entry, others: others, revision: revision, committedAt: committedAt)
  }
}
