// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupRPC
internal import ProtobufMessages

/// The state of one worker's thread that its calls share.
final class WorkerState: @unchecked Sendable {
  // Safe to share: `shard` and the counters are thread-safe; the rest is used on the worker's own thread only.
  let shard: WatchShard
  let arena = ProtobufArena()
  let scratch = ProtobufScratch(capacity: 512)
  /// Indexed by ``ServedEntity``.
  let counters = ServedEntity.allCases.map { _ in LookupCounters() }
  private let worker: any RPCWorker
  private let epochs: EpochSource
  private var epochGeneration = -1
  private var epochText = ""
  /// ``epoch`` in UTF-8, as of the last ``view(_:)``.
  private(set) var epochBytes: [UInt8] = []
  /// Indexed by ``ServedEntity``: the worker's own reader of each cache.
  private let answers: [AnswerReader]
  private var waitNumber: UInt32 = 0

  init(_ worker: any RPCWorker, shard: WatchShard, _ epochs: EpochSource) {
    self.worker = worker
    self.shard = shard
    self.epochs = epochs
    answers = shard.readers.map { $0.makeReader() }
  }

  /// Notifies `observer` when the worker's event-loop iteration ends. Returns false if there are no iterations.
  func observeIterationEnd(_ observer: any RPCIterationObserver) -> Bool { worker.observeIterationEnd(observer) }

  /// ``EpochSource/current`` without its lock, cached until it changes.
  var epoch: String {
    refreshEpoch()
    return epochText
  }

  /// A cache as of now.
  func view(_ entity: ServedEntity) -> CacheView {
    refreshEpoch()
    return CacheView(entity, shard.readers[entity.rawValue])
  }

  /// The share of the longest wait that the next waiting call gets, from 0.9 to 1: calls that arrive together do not
  /// end together. Multiples of the golden ratio spread evenly, and cost no system call as random numbers do.
  func nextWaitShare() -> Double {
    waitNumber &+= 1
    return 0.9 + 0.1 * (Double(waitNumber) * 0.618_033_988_749_895).truncatingRemainder(dividingBy: 1)
  }

  /// Calls `body` with a reader whose answers are all of one moment.
  func withAnswers<Result>(
    _ entity: ServedEntity, _ body: (AnswerReader) throws(RPCStatus) -> Result
  ) throws(RPCStatus) -> Result {
    let answers = answers[entity.rawValue]
    answers.enter()
    defer { answers.leave() }
    return try body(answers)
  }

  private func refreshEpoch() {
    let generation = epochs.generation
    guard generation != epochGeneration else { return }
    epochText = epochs.current
    epochBytes = Array(epochText.utf8)
    epochGeneration = generation
  }
}
