internal import ChangeStreamCache
internal import ProtobufMessages
internal import RPC

/// What one worker's thread keeps for its calls.
final class WorkerState: @unchecked Sendable {
  // Safe to share: `lane` and the counters take care of themselves; the rest is used on the worker's own thread only.
  let lane: WatchLane
  let arena = ProtobufArena()
  let scratch = ProtobufScratch(capacity: 512)
  /// By ``ServedEntity``.
  let counters = ServedEntity.allCases.map { _ in LookupCounters() }
  private let worker: any RPCWorker
  private let epochs: EpochSource
  private var epochGeneration = -1
  private var epochText = ""
  /// ``epoch`` as of the last ``view(_:)``, in UTF-8.
  private(set) var epochBytes: [UInt8] = []
  /// The turn of the worker that ``ages`` are of.
  private var turn: UInt64?
  /// By ``ServedEntity``: how old the contents were when this turn first looked.
  private let ages: UnsafeMutablePointer<UInt64?>
  /// By ``ServedEntity``: which database the cache was of at the last look.
  private let identityGenerations: UnsafeMutablePointer<Int>

  init(_ worker: any RPCWorker, lane: WatchLane, _ epochs: EpochSource) {
    self.worker = worker
    self.lane = lane
    self.epochs = epochs
    ages = .allocate(capacity: ServedEntity.allCases.count)
    ages.initialize(repeating: nil, count: ServedEntity.allCases.count)
    identityGenerations = .allocate(capacity: ServedEntity.allCases.count)
    identityGenerations.initialize(repeating: -1, count: ServedEntity.allCases.count)
  }

  deinit {
    ages.deallocate()
    identityGenerations.deallocate()
  }

  /// Has `observer` told when the worker's turn ends; false where there are no turns.
  func tellAtTurnEnd(_ observer: any RPCTurnObserver) -> Bool { worker.tellAtTurnEnd(observer) }

  /// ``EpochSource/current`` without its lock, as long as it has not changed.
  var epoch: String {
    refreshEpoch()
    return epochText
  }

  /// A cache as of now, but for its age, which is that of the turn's first look, as is the epoch's part that is of
  /// other caches: one look at the clock serves all the calls of a turn.
  func view(_ entity: ServedEntity) -> CacheView {
    let now = worker.turn
    if now == nil || now != turn {
      turn = now
      ages.update(repeating: nil, count: ServedEntity.allCases.count)
      refreshEpoch()
    }
    let reader = lane.readers[entity.rawValue]
    if reader.identityGeneration != identityGenerations[entity.rawValue] {
      identityGenerations[entity.rawValue] = reader.identityGeneration
      refreshEpoch()
    }
    let view = CacheView(entity, reader, ageMilliseconds: ages[entity.rawValue])
    ages[entity.rawValue] = view.ageMilliseconds
    return view
  }

  private func refreshEpoch() {
    let generation = epochs.generation
    guard generation != epochGeneration else { return }
    epochText = epochs.current
    epochBytes = Array(epochText.utf8)
    epochGeneration = generation
  }
}
