// SPDX-License-Identifier: Apache-2.0
internal import CXXHash
internal import ConfigLookupCore
internal import Synchronization

/// The hash table from key bytes to answers: the read side of a cache. Any thread may read; one thread writes.
///
/// The table consists of shards with open addressing, and it is multi-versioned. The writer stores the answers of a
/// publication, which are not visible yet, and then publishes all of them with one store. A reader of an earlier
/// publication follows an answer's link to the previous answer; links are removed when no reader needs them. So a
/// reader sees either all or nothing of a publication.
///
/// Hashes are seeded per process, so that keys cannot be chosen to collide.
final class AnswerTable: @unchecked Sendable {
  // Safe to share: after `init` only the shards and the atomic number change, and both are thread-safe.

  private static let shardCount = 64
  private let seed = UInt64.random(in: .min ... .max)
  private let shards: UnsafeMutablePointer<AnswerShard>
  private let published = Atomic<UInt64>(0)
  let reclaimer: Reclaimer
  /// The hook of simulations, see ``CacheReader/onLook``.
  // Safe: set before any other thread has the table, and never again.
  nonisolated(unsafe) var onLook: (() -> Void)?

  init() {
    let reclaimer = Reclaimer()
    self.reclaimer = reclaimer
    shards = .allocate(capacity: Self.shardCount)
    for place in 0..<Self.shardCount { (shards + place).initialize(to: AnswerShard(reclaimer)) }
  }

  deinit {
    shards.deinitialize(count: Self.shardCount)
    shards.deallocate()
  }

  // MARK: Readers

  /// The number of the latest publication, which readers see from now on.
  @inline(__always)
  var publication: UInt64 { published.load(ordering: .acquiring) }

  /// Looks up a key as of the latest publication. Takes the lock of a shard, which is held for a few dozen instructions
  /// and never during I/O.
  func answer(space: UInt8, _ bytes: UnsafeRawBufferPointer) -> CachedAnswer? {
    let hash = hash(space, bytes)
    while true {
      let publication = publication
      switch shards[shard(of: hash)].answer(hash, space, bytes, asOf: publication) {
      case .found(let answer): return answer
      case .notFound: return nil
      case .cut:
        // Either the key is new in a publication that is not visible yet, or a later publication came and the link was
        // removed.
        if publication == self.publication { return nil }
      }
    }
  }

  func answer(_ key: LookupKey) -> CachedAnswer? {
    key.bytes.withUnsafeBytes { answer(space: key.space, $0) }
  }

  func query(space: UInt8, _ bytes: UnsafeRawBufferPointer) -> AnswerQuery {
    let hash = hash(space, bytes)
    shards[shard(of: hash)].prefetchSlot(hash)
    return AnswerQuery(hash: hash, space: space, key: bytes)
  }

  func prefetch(_ query: AnswerQuery) { shards[shard(of: query.hash)].prefetchAnswer(query.hash) }

  /// Looks up a key without a lock and without reference counting. The caller must be a reader that has entered; the
  /// answer is valid until that reader leaves.
  @inline(__always)
  func find(_ query: AnswerQuery, asOf publication: UInt64) -> Unmanaged<CachedAnswer>? {
    shards[shard(of: query.hash)].find(query.hash, query.space, query.key, asOf: publication)
  }

  // MARK: The writer

  /// Returns the latest stored answer of a key, published or not; nil if the key has none.
  func latest(_ key: LookupKey) -> CachedAnswer? {
    key.bytes.withUnsafeBytes { bytes in
      let hash = hash(key.space, bytes)
      return shards[shard(of: hash)].latest(hash, key.space, bytes)
    }
  }

  /// Stores an answer, or the mark that the key has none any more, for readers of its publication and of later ones.
  func store(_ answer: CachedAnswer) {
    let hash = answer.key.bytes.withUnsafeBytes { self.hash(answer.key.space, $0) }
    shards[shard(of: hash)].store(hash, answer)
  }

  /// Makes everything that was stored for `publication` visible to readers.
  func publish(_ publication: UInt64) {
    published.store(publication, ordering: .sequentiallyConsistent)
  }

  /// Schedules the cleanup of published answers: when no reader can follow their links any more, the links are removed,
  /// and so are the slots of keys that are gone.
  func retire(_ answers: [CachedAnswer]) {
    reclaimer.retire(answers.isEmpty ? [] : [ReplacedAnswers(answers, self)])
  }

  /// Performs the scheduled cleanups for which no reader has to be waited for any more.
  func reclaim() {
    if reclaimer.hasRetired { reclaimer.retire([]) }
  }

  fileprivate func settle(_ answers: [CachedAnswer]) {
    for answer in answers {
      let hash = answer.key.bytes.withUnsafeBytes { self.hash(answer.key.space, $0) }
      shards[shard(of: hash)].settle(hash, answer)
    }
  }

  private func hash(_ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, seed &+ UInt64(space))
  }

  /// The shard of a hash. The highest bits choose the shard, the lower ones the slot in it.
  @inline(__always)
  private func shard(of hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash >> 58)
  }
}

/// The answers of one publication that replaced others, kept until no reader needs the replaced ones.
private final class ReplacedAnswers: Reclaimable {
  private let answers: [CachedAnswer]
  private unowned let table: AnswerTable

  init(_ answers: [CachedAnswer], _ table: AnswerTable) {
    self.answers = answers
    self.table = table
  }

  func reclaim() { table.settle(answers) }
}
