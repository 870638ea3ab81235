internal import CXXHash
internal import Core
internal import Synchronization

/// Key bytes to answers: the read side of a cache. Any thread reads; one writes.
///
/// Open addressing in shards, and versions: a writer stores the answers of a publication, not visible yet, and
/// then publishes all of them with one store. A reader that looks at an earlier publication follows an answer's link to
/// the one before it; the links are cut once no reader needs them. So a reader sees a publication whole or not at all.
///
/// Hashes are seeded per process, so that keys cannot be chosen to collide.
final class AnswerTable: @unchecked Sendable {
  // Safe to share: nothing is changed after `init` but the shards and the atomic number, which are made to be shared.

  private static let shardCount = 64
  private let seed = UInt64.random(in: .min ... .max)
  private let shards: UnsafeMutablePointer<AnswerShard>
  private let published = Atomic<UInt64>(0)
  let reclaimer: Reclaimer
  /// See ``CacheReader/onLook``.
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

  /// The publication that readers see from now on.
  @inline(__always)
  var publication: UInt64 { published.load(ordering: .acquiring) }

  /// What the key answers as of the latest publication. Under the lock of a shard, which is held for a few dozen
  /// instructions, and never during I/O.
  func answer(space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Answer? {
    let hash = hash(space, bytes)
    while true {
      let publication = publication
      switch shards[shard(of: hash)].answer(hash, space, bytes, asOf: publication) {
      case .found(let answer): return answer
      case .notFound: return nil
      case .cut:
        // The key is new in a publication that is still to come; or a link was cut because a later one has come.
        if publication == self.publication { return nil }
      }
    }
  }

  func answer(_ key: LookupKey) -> Answer? {
    key.bytes.withUnsafeBytes { answer(space: key.space, $0) }
  }

  func query(space: UInt8, _ bytes: UnsafeRawBufferPointer) -> AnswerQuery {
    let hash = hash(space, bytes)
    shards[shard(of: hash)].prefetchSlot(hash)
    return AnswerQuery(hash: hash, space: space, key: bytes)
  }

  func prefetch(_ query: AnswerQuery) { shards[shard(of: query.hash)].prefetchAnswer(query.hash) }

  /// Without a lock and without counting a reference: for a reader that has entered, until it leaves.
  @inline(__always)
  func find(_ query: AnswerQuery, asOf publication: UInt64) -> Unmanaged<Answer>? {
    shards[shard(of: query.hash)].find(query.hash, query.space, query.key, asOf: publication)
  }

  // MARK: The writer

  /// What the key answers, of all publications that were stored; nil for nothing.
  func latest(_ key: LookupKey) -> Answer? {
    key.bytes.withUnsafeBytes { bytes in
      let hash = hash(key.space, bytes)
      return shards[shard(of: hash)].latest(hash, key.space, bytes)
    }
  }

  /// Stores an answer, or that there is none any more, for readers of its publication and later ones.
  func store(_ answer: Answer) {
    let hash = answer.key.bytes.withUnsafeBytes { self.hash(answer.key.space, $0) }
    shards[shard(of: hash)].store(hash, answer)
  }

  /// Shows readers everything that was stored for `publication`.
  func publish(_ publication: UInt64) {
    published.store(publication, ordering: .sequentiallyConsistent)
  }

  /// Cuts the links of `answers`, which are published, to those before them, once no reader follows them, and takes the
  /// places of those that are gone.
  func retire(_ answers: [Answer]) {
    reclaimer.retire(answers.isEmpty ? [] : [ReplacedAnswers(answers, self)])
  }

  /// Does what waits for readers to leave, where they have left.
  func reclaim() {
    if reclaimer.hasRetired { reclaimer.retire([]) }
  }

  fileprivate func settle(_ answers: [Answer]) {
    for answer in answers {
      let hash = answer.key.bytes.withUnsafeBytes { self.hash(answer.key.space, $0) }
      shards[shard(of: hash)].settle(hash, answer)
    }
  }

  private func hash(_ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, seed &+ UInt64(space))
  }

  /// The top bits choose the shard, the lower ones the place in it.
  @inline(__always)
  private func shard(of hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash >> 58)
  }
}

/// The answers of a publication that replaced others, until no reader needs those.
private final class ReplacedAnswers: Reclaimable {
  private let answers: [Answer]
  private unowned let table: AnswerTable

  init(_ answers: [Answer], _ table: AnswerTable) {
    self.answers = answers
    self.table = table
  }

  func reclaim() { table.settle(answers) }
}
