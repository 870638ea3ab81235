public import Core
internal import Glibc
internal import Synchronization

/// What a key answers, and since when. Immutable but for its link to the answer before it: any thread.
public final class Answer: Sendable, Reclaimable {
  public let key: LookupKey
  /// The document that answers: of several members, the first.
  public let entry: Entry
  /// Further documents behind the answer: the other members, or the claimants that lose the key, in order.
  public let others: [Entry]
  /// The keys by which the answer names its others (see ``KeySpace/Composition``), in order.
  public let otherNames: [[UInt8]]
  /// What the key's space makes of the answer's documents (``KeySpace/makeIndex``).
  public let index: (any AnyObject & Sendable)?
  /// Whether there are any ``otherNames``.
  public let namesOthers: Bool
  /// The change that made this the answer; or, where the answer was read in a snapshot, a revision at which it held.
  /// Every change of the key up to this is in the answer, and none that came after it.
  public let revision: Revision
  /// When that change was committed.
  public let committedAt: WallTime
  // Here too, because each further object on the way is a miss of the processor's cache more, for every lookup.
  /// The entry's bytes.
  public let bytes: [UInt8]
  /// Where they lie: valid for as long as the answer is held.
  // Safe to share, and to keep: an array that is held as a constant neither moves nor changes, and `bytes` holds it.
  public nonisolated(unsafe) let lentBytes: UnsafeRawBufferPointer
  /// The entry's etag, in digits.
  public let etagDigits: SIMD32<UInt8>
  /// The first bytes of the key, and how many there are in all.
  private let keyStart: SIMD32<UInt8>
  private let keyCount: Int
  /// The publication that makes this the answer: readers of an earlier one see the answer before it.
  let publication: UInt64
  /// Whether the key has no answer from this publication on.
  let isGone: Bool
  /// What readers of earlier publications see; holds a reference. Cut once there are none.
  private let previous: Atomic<Unmanaged<Answer>?>

  /// How many lines of the processor's cache an answer lies in, or nearly so.
  static let cacheLines = 4

  /// An answer, for readers of `publication` and later ones; those of earlier ones see what it is linked to.
  init(
    key: LookupKey, entry: Entry, others: [Entry] = [], otherNames: [[UInt8]] = [],
    index: (any AnyObject & Sendable)? = nil,
    revision: Revision, committedAt: WallTime, publication: UInt64, isGone: Bool = false
  ) {
    self.key = key
    self.entry = entry
    self.others = others
    self.otherNames = otherNames
    namesOthers = !otherNames.isEmpty
    self.index = index
    self.revision = revision
    self.committedAt = committedAt
    bytes = entry.bytes
    lentBytes = bytes.withUnsafeBytes { $0 }
    etagDigits = entry.etag.digits
    var start = SIMD32<UInt8>()
    withUnsafeMutableBytes(of: &start) { $0.copyBytes(from: key.bytes.prefix($0.count)) }
    keyStart = start
    keyCount = key.bytes.count
    self.publication = publication
    self.isGone = isGone
    previous = Atomic(nil)
  }

  deinit {
    previous.load(ordering: .relaxed)?.release()
  }

  /// Says from `publication` on that the key has no answer.
  static func gone(_ answer: Answer, publication: UInt64) -> Answer {
    Answer(
      key: answer.key, entry: answer.entry, revision: answer.revision, committedAt: answer.committedAt,
      publication: publication, isGone: true)
  }

  /// Whether the key is this one.
  @inline(__always)
  func answers(_ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard key.space == space, keyCount == bytes.count else { return false }
    guard let start = bytes.baseAddress else { return true }
    guard bytes.count <= 32 else { return memcmp(key.bytes, start, bytes.count) == 0 }
    return withUnsafePointer(to: keyStart) { memcmp($0, start, bytes.count) == 0 }
  }

  /// The answer before this one, where readers of earlier publications may still exist.
  ///
  /// For a reader that has entered, or under the lock of the table's shard.
  var answerBefore: Unmanaged<Answer>? { previous.load(ordering: .acquiring) }

  /// Links to the answer that this one replaces, before any reader can find this one.
  func link(to before: Answer) {
    previous.store(.passRetained(before), ordering: .releasing)
  }

  /// Takes the answer before this one away, once no reader can ask for it. Under the lock of the table's shard.
  func cutPrevious() -> Answer? {
    previous.exchange(nil, ordering: .acquiringAndReleasing)?.takeRetainedValue()
  }

  /// Whether a caller is told the same by both: the same value, the same others where they are part of the answer.
  func isSame(as other: Answer, _ composition: KeySpace.Composition) -> Bool {
    guard entry.etag == other.entry.etag, otherNames == other.otherNames else { return false }
    guard composition == .members else { return true }
    return others.elementsEqual(other.others) { $0.etag == $1.etag }
  }
}
