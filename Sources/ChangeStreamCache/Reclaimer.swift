internal import Core
internal import Synchronization

/// Epoch-based reclamation (K. Fraser, Practical lock-freedom, 2004, section 5.2.3): keeps an object that readers may
/// still look at, who take no lock and count no reference, until none of them can. Any thread.
///
/// A writer makes an object unreachable first, and retires it then. A reader that entered before may have found it; a
/// reader that enters later cannot.
final class Reclaimer: Sendable {
  /// One thread that reads.
  final class Reader: Sendable {
    /// The epoch in which the present read began; 0: none is under way.
    fileprivate let entered = Atomic<UInt64>(0)
  }

  private struct State: Sendable {
    var readers: [Reader] = []
    /// In order of their epochs.
    var retired: [(epoch: UInt64, object: any Reclaimable)] = []
  }

  private let epoch = Atomic<UInt64>(1)
  private let state = Locked(State())

  func makeReader() -> Reader {
    let reader = Reader()
    state.withLock { $0.readers.append(reader) }
    return reader
  }

  func remove(_ reader: Reader) {
    state.withLock { $0.readers.removeAll { $0 === reader } }
  }

  /// Begins a read: what it finds is kept until ``leave(_:)``.
  func enter(_ reader: Reader) {
    reader.entered.store(epoch.load(ordering: .acquiring), ordering: .relaxed)
    // A writer that does not see this reader yet has made its change before, and the reader sees that.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  /// Ends a read: nothing that it found may be looked at any more.
  func leave(_ reader: Reader) {
    reader.entered.store(0, ordering: .releasing)
  }

  /// Reclaims `objects`, which no reader can find any more, as soon as no reader can hold them; and those retired
  /// earlier whose time has come.
  ///
  /// On the writer's thread: ``Reclaimable/reclaim()`` is called on it, outside every lock.
  func retire(_ objects: [any Reclaimable]) {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let now = epoch.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
    let due = state.withLock { state in
      state.retired += objects.map { (now, $0) }
      let oldest = state.readers.reduce(UInt64.max) { oldest, reader in
        let entered = reader.entered.load(ordering: .sequentiallyConsistent)
        return entered == 0 ? oldest : min(oldest, entered)
      }
      // A read that began in an epoch sees all that was retired up to it as gone.
      let count = state.retired.firstIndex { $0.epoch > oldest } ?? state.retired.count
      defer { state.retired.removeFirst(count) }
      return Array(state.retired[..<count])
    }
    for (_, object) in due { object.reclaim() }
  }

  /// Whether something waits for readers to leave.
  var hasRetired: Bool { state.withLock { !$0.retired.isEmpty } }
}

/// An object that was made unreachable for readers.
protocol Reclaimable: AnyObject, Sendable {
  /// No reader can hold the object any more. It is released afterwards.
  func reclaim()
}

extension Reclaimable {
  func reclaim() {}
}
