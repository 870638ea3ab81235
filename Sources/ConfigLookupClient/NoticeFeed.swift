// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The queue of notices of one reader. It is bounded: for a reader that does not keep up, one RESYNC replaces all of
/// them. Any thread.
final class NoticeFeed: Sendable {
  private struct State: Sendable {
    var queue: [Notice] = []
    var head = 0
    var waiter: CheckedContinuation<Notice?, Never>?
    var isOver = false
  }

  /// The maximum number of queued notices. Above it, the queue is replaced by one RESYNC.
  static let limit = 10_000

  private let state = Locked(State())

  func add(_ notice: Notice) {
    let waiter = state.withLock { state -> CheckedContinuation<Notice?, Never>? in
      if let waiter = state.waiter {
        state.waiter = nil
        return waiter
      }
      // Of consecutive PROGRESS notices only the last is of use.
      if notice.kind == .progress, state.queue.count > state.head, state.queue.last?.kind == .progress {
        state.queue.removeLast()
      }
      if state.queue.count - state.head >= Self.limit {
        state.queue = [.resync("slow_reader")]
        state.head = 0
        if notice.kind != .progress { return nil }
      }
      state.queue.append(notice)
      return nil
    }
    waiter?.resume(returning: notice)
  }

  func end() {
    let waiter = state.withLock { state -> CheckedContinuation<Notice?, Never>? in
      state.isOver = true
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(returning: nil)
  }

  /// Returns the next notice; nil at the end, and if the task is cancelled. For one reader.
  func next() async -> Notice? {
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        enum Step { case give(Notice?), wait }
        let step = state.withLock { state -> Step in
          if Task.isCancelled { return .give(nil) }
          if state.head < state.queue.count {
            defer {
              state.head += 1
              if state.head == state.queue.count {
                state.queue.removeAll(keepingCapacity: true)
                state.head = 0
              }
            }
            return .give(state.queue[state.head])
          }
          if state.isOver { return .give(nil) }
          state.waiter = continuation
          return .wait
        }
        if case .give(let notice) = step { continuation.resume(returning: notice) }
      }
    } onCancel: {
      end()
    }
  }
}

/// The notices of a ``ConfigLookupClient`` from now on, over all its connections, as an `AsyncSequence`.
///
/// After the loss of a connection the sequence resumes at its position, on any server; where an exact resumption is
/// impossible, a RESYNC comes first. A sequence has one reader; call
/// ``ConfigLookupClient/ConfigLookupClient/invalidations()`` once for each.
public struct Invalidations: AsyncSequence, Sendable {
  public typealias Element = Notice
  private let feed: NoticeFeed
  private let lease: Lease

  /// - Parameter end: called when the sequence and its iterators have been released.
  init(_ feed: NoticeFeed, end: @escaping @Sendable () -> Void) {
    self.feed = feed
    lease = Lease(end)
  }

  /// Starts to read the sequence.
  ///
  /// - Returns: the iterator, for one task.
  public func makeAsyncIterator() -> Iterator { Iterator(feed: feed, lease: lease) }

  /// The iterator of ``Invalidations``. For one task.
  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let feed: NoticeFeed
    fileprivate let lease: Lease

    /// Waits for the next notice.
    ///
    /// - Returns: the notice; nil after ``ConfigLookupClient/ConfigLookupClient/close()``, and if the task is
    ///   cancelled.
    public mutating func next() async -> Notice? { await feed.next() }
  }

  /// Calls its function when the last owner, a sequence or an iterator, releases it.
  fileprivate final class Lease: Sendable {
    private let end: @Sendable () -> Void
    init(_ end: @escaping @Sendable () -> Void) { self.end = end }
    deinit { end() }
  }
}
