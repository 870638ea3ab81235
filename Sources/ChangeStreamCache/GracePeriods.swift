internal import Core
internal import Synchronization

/// Keeps what readers may still look at, who take no lock and count no reference, until none of them can: read-copy-
/// update, with epochs (K. Fraser, Practical lock-freedom, 2004, section 5.2.3). Any thread.
///
/// A writer takes an object out of the readers' reach first, and retires it then. A reader that began before may have
/// found it; one that begins later cannot.
final class GracePeriods: Sendable {
  /// One thread's readings.
  final class Reader: Sendable {
    /// The period in which the reading under way began; 0: none is.
    fileprivate let began = Atomic<UInt64>(0)
  }

  private struct State: Sendable {
    var readers: [Reader] = []
    /// In order of their periods.
    var retired: [(period: UInt64, object: any Retired)] = []
  }

  private let period = Atomic<UInt64>(1)
  private let state = Locked(State())

  func makeReader() -> Reader {
    let reader = Reader()
    state.withLock { $0.readers.append(reader) }
    return reader
  }

  func remove(_ reader: Reader) {
    state.withLock { $0.readers.removeAll { $0 === reader } }
  }

  /// What is found from now on is kept until ``end(_:)``.
  func begin(_ reader: Reader) {
    reader.began.store(period.load(ordering: .acquiring), ordering: .relaxed)
    // A writer that does not see this reader yet has made its change before, and the reader sees that.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  func end(_ reader: Reader) {
    reader.began.store(0, ordering: .releasing)
  }

  /// Lets go of `objects`, which no reader can find any more, as soon as none has found them; and of earlier ones.
  func retire(_ objects: [any Retired]) {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let now = period.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
    // What may go is given out of the lock: to free it takes a while.
    _ = state.withLock { state in
      state.retired += objects.map { (now, $0) }
      let oldest = state.readers.reduce(UInt64.max) { oldest, reader in
        let began = reader.began.load(ordering: .sequentiallyConsistent)
        return began == 0 ? oldest : min(oldest, began)
      }
      // A reading that began in a period sees all that was retired up to it as gone.
      let count = state.retired.firstIndex { $0.period > oldest } ?? state.retired.count
      defer { state.retired.removeFirst(count) }
      return Array(state.retired[..<count])
    }
  }
}

/// An object that was taken out of the readers' reach.
typealias Retired = AnyObject & Sendable
