// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Synchronization

/// Epoch-based reclamation (K. Fraser, Practical lock-freedom, 2004, section 5.2.3). It keeps an object alive until no
/// reader can use it any more, although readers take no lock and count no reference. Any thread may use it.
///
/// A writer first makes an object unreachable and then retires it. A reader that entered before may have found the
/// object; a reader that enters later cannot find it.
final class Reclaimer: Sendable {
  /// The state of one reading thread.
  final class Reader: Sendable {
    /// The epoch in which the current read began; 0 if none is in progress.
    fileprivate let entered = Atomic<UInt64>(0)
  }

  private struct State: Sendable {
    var readers: [Reader] = []
    /// The retired objects, in order of their epochs.
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

  /// Begins a read. Objects that it finds are kept until ``leave(_:)``.
  func enter(_ reader: Reader) {
    reader.entered.store(epoch.load(ordering: .acquiring), ordering: .relaxed)
    // A writer that does not see this reader yet has made its change before, and the reader sees that change.
    atomicMemoryFence(ordering: .sequentiallyConsistent)
  }

  /// Ends a read. Objects that it found must not be used any more.
  func leave(_ reader: Reader) {
    reader.entered.store(0, ordering: .releasing)
  }

  /// Retires objects that no reader can find any more. They are reclaimed as soon as no reader can hold them. Objects
  /// that were retired earlier are reclaimed now if no reader can hold them any more.
  ///
  /// Must be called on the writer's thread, on which ``Reclaimable/reclaim()`` is called, outside every lock.
  func retire(_ objects: [any Reclaimable]) {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let now = epoch.wrappingAdd(1, ordering: .sequentiallyConsistent).newValue
    let due = state.withLock { state in
      state.retired += objects.map { (now, $0) }
      let oldest = state.readers.reduce(UInt64.max) { oldest, reader in
        let entered = reader.entered.load(ordering: .sequentiallyConsistent)
        return entered == 0 ? oldest : min(oldest, entered)
      }
      // A read that began in an epoch cannot find the objects that were retired up to that epoch.
      let count = state.retired.firstIndex { $0.epoch > oldest } ?? state.retired.count
      defer { state.retired.removeFirst(count) }
      return Array(state.retired[..<count])
    }
    for (_, object) in due { object.reclaim() }
  }

  /// Whether retired objects wait for readers to leave.
  var hasRetired: Bool { state.withLock { !$0.retired.isEmpty } }
}

/// An object that readers can no longer reach and that is to be reclaimed.
protocol Reclaimable: AnyObject, Sendable {
  /// Is called when no reader can hold the object any more. The object is released afterwards.
  func reclaim()
}

extension Reclaimable {
  func reclaim() {}
}
