// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
internal import Glibc
internal import Synchronization

/// The answer of one key, with the revision from which it holds. Immutable except for its link to the answer that it
/// replaced. Any thread may use it.
public final class CachedAnswer: Sendable, Reclaimable {
  /// The key that the answer belongs to.
  public let key: LookupKey
  /// The document whose value is served. Where the answer has several members, the first of them.
  public let entry: Entry
  /// Further documents of the answer, in order: the other members, or the documents that also claim the key and have
  /// lower precedence.
  public let others: [Entry]
  /// The keys by which the answer names the documents in ``others`` (see ``KeySpace/Composition``), in order.
  public let otherNames: [[UInt8]]
  /// The index that the key's space builds over the answer's documents (``KeySpace/makeIndex``); nil where the space
  /// builds none.
  public let index: (any AnyObject & Sendable)?
  /// Whether ``otherNames`` is not empty.
  public let namesOthers: Bool
  /// The revision of the change that made this the answer. Where the answer was read in a snapshot, a revision at which
  /// it held. The answer contains every change of the key up to this revision, and no later one.
  public let revision: Revision
  /// The time at which that change was committed.
  public let committedAt: WallTime
  // These are copied from the entry because each further object on the path costs every lookup one more miss of the
  // CPU cache.
  /// The entry's encoded bytes.
  public let bytes: [UInt8]
  /// The memory of ``bytes``. The pointer is valid while a reference to the answer is held.
  // Safe to share, and to keep: the storage of an array that is held as a constant neither moves nor changes, and
  // `bytes` holds it.
  public nonisolated(unsafe) let lentBytes: UnsafeRawBufferPointer
  /// The entry's etag as hexadecimal digits.
  public let etagDigits: SIMD32<UInt8>
  /// The first bytes of the key. The next property is the length of the whole key, in bytes.
  private let keyStart: SIMD32<UInt8>
  private let keyCount: Int
  /// The publication in which this becomes the answer. Readers of an earlier publication see the previous answer.
  let publication: UInt64
  /// Whether the key has no answer from this publication on.
  let isGone: Bool
  /// The answer that readers of earlier publications see, as a retained reference. It is removed when no such reader is
  /// left.
  private let previous: Atomic<Unmanaged<CachedAnswer>?>

  /// The number of CPU cache lines that an answer occupies, approximately.
  static let cacheLines = 4

  /// Creates an answer for readers of `publication` and of later publications. Readers of earlier ones see the answer
  /// that it is linked to.
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

  /// Creates the answer that marks a key as having no answer from `publication` on.
  static func gone(_ answer: CachedAnswer, publication: UInt64) -> CachedAnswer {
    CachedAnswer(
      key: answer.key, entry: answer.entry, revision: answer.revision, committedAt: answer.committedAt,
      publication: publication, isGone: true)
  }

  /// Whether the answer's key has this space and these bytes.
  @inline(__always)
  func answers(_ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Bool {
    guard key.space == space, keyCount == bytes.count else { return false }
    guard let start = bytes.baseAddress else { return true }
    guard bytes.count <= 32 else { return memcmp(key.bytes, start, bytes.count) == 0 }
    return withUnsafePointer(to: keyStart) { memcmp($0, start, bytes.count) == 0 }
  }

  /// The answer that this one replaced, while readers of earlier publications may still exist.
  ///
  /// The caller must be a reader that has entered, or must hold the lock of the table's shard.
  var answerBefore: Unmanaged<CachedAnswer>? { previous.load(ordering: .acquiring) }

  /// Links to the answer that this one replaces. Must be called before any reader can find this answer.
  func link(to before: CachedAnswer) {
    previous.store(.passRetained(before), ordering: .releasing)
  }

  /// Removes the link to the previous answer and returns that answer. Called under the lock of the table's shard, when
  /// no reader can follow the link any more.
  func cutPrevious() -> CachedAnswer? {
    previous.exchange(nil, ordering: .acquiringAndReleasing)?.takeRetainedValue()
  }

  /// Whether both answers are the same to a client: the same value and, where other documents are part of the answer,
  /// the same other documents.
  func isSame(as other: CachedAnswer, _ composition: KeySpace.Composition) -> Bool {
    guard entry.etag == other.entry.etag, otherNames == other.otherNames else { return false }
    guard composition == .members else { return true }
    return others.elementsEqual(other.others) { $0.etag == $1.etag }
  }
}
