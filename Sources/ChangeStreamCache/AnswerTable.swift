internal import CXXHash
internal import Core

/// Key bytes to answers: the read side of a cache. Any thread.
///
/// Open addressing in shards. Hashes are seeded per process: nobody outside can choose keys that collide.
final class AnswerTable: @unchecked Sendable {
  // Safe to share: nothing is changed after `init` but the shards, which are made to be shared.

  private static let shardCount = 64
  private let seed = UInt64.random(in: .min ... .max)
  private let shards: UnsafeMutablePointer<AnswerShard>
  let gracePeriods: GracePeriods

  init() {
    let periods = GracePeriods()
    gracePeriods = periods
    shards = .allocate(capacity: Self.shardCount)
    for place in 0..<Self.shardCount { (shards + place).initialize(to: AnswerShard(periods)) }
  }

  deinit {
    shards.deinitialize(count: Self.shardCount)
    shards.deallocate()
  }

  /// Under the lock of a shard, which is held for a few dozen instructions, and never during I/O.
  func answer(space: UInt8, _ bytes: UnsafeRawBufferPointer) -> Answer? {
    let hash = hash(space, bytes)
    return shards[shard(of: hash)].answer(hash, space, bytes)
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

  /// Without a lock and without counting a reference: for a reader that has begun, and until it ends.
  func lend(_ query: AnswerQuery) -> Unmanaged<Answer>? {
    shards[shard(of: query.hash)].lend(query.hash, query.space, query.key)
  }

  /// Puts `answer` in the place of what the key answered; nil takes it away.
  func set(_ key: LookupKey, _ answer: Answer?) {
    key.bytes.withUnsafeBytes { bytes in
      let hash = hash(key.space, bytes)
      let place = shard(of: hash)
      if let answer { shards[place].insert(hash, answer) } else { shards[place].remove(hash, key.space, bytes) }
    }
  }

  private func hash(_ space: UInt8, _ bytes: UnsafeRawBufferPointer) -> UInt64 {
    XXH3_64bits_withSeed(bytes.baseAddress, bytes.count, seed &+ UInt64(space))
  }

  /// The top bits choose the shard, the lower ones the place in it.
  private func shard(of hash: UInt64) -> Int {
    Int(truncatingIfNeeded: hash >> 58)
  }
}
