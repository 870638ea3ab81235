internal import Core

/// Notices on their way to one reader. Bounded: where the reader does not keep up, one RESYNC stands for all.
final class NoticeFeed: Sendable {
  private struct State: Sendable {
    var queue: [Notice] = []
    var head = 0
    var waiter: CheckedContinuation<Notice?, Never>?
    var isOver = false
  }

  /// Beyond this many the reader drops what it holds.
  static let limit = 10_000

  private let state = Locked(State())

  func add(_ notice: Notice) {
    let waiter = state.withLock { state -> CheckedContinuation<Notice?, Never>? in
      if let waiter = state.waiter {
        state.waiter = nil
        return waiter
      }
      // How far it has come is worth knowing once.
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

  /// Nil at the end, and where the task is cancelled. One reader.
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

/// The notices of a ``ConfigLookupClient``, from now on, over all its connections: an `AsyncSequence`.
///
/// When the connection is lost it goes on where it was, on any server; where that cannot be done exactly, a RESYNC
/// comes first. It is for one reader; ask the client for one each.
public struct Invalidations: AsyncSequence, Sendable {
  public typealias Element = Notice
  private let feed: NoticeFeed
  private let lease: Lease

  /// - Parameter end: called when nobody reads any more.
  init(_ feed: NoticeFeed, end: @escaping @Sendable () -> Void) {
    self.feed = feed
    lease = Lease(end)
  }

  public func makeAsyncIterator() -> Iterator { Iterator(feed: feed, lease: lease) }

  public struct Iterator: AsyncIteratorProtocol {
    fileprivate let feed: NoticeFeed
    fileprivate let lease: Lease

    public mutating func next() async -> Notice? { await feed.next() }
  }

  /// Ends with the last of those that can read.
  fileprivate final class Lease: Sendable {
    private let end: @Sendable () -> Void
    init(_ end: @escaping @Sendable () -> Void) { self.end = end }
    deinit { end() }
  }
}
