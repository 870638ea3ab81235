// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Glibc
internal import ProtobufMessages
internal import TestSupport

/// Subscribers that two threads read all the time.
final class Crowd {
  struct Status: Sendable {
    /// The number of subscribers that have received the first PROGRESS.
    var ready = 0
    /// The revision of the awaited fence, the number of subscribers that have received it, and the time when the last
    /// of them received it.
    var fence = UInt64.max
    var done = 0
    var lastDone = MonotonicTime(nanoseconds: 0)
    var notices = 0
    var problem: String?
  }

  private(set) var subscribers: [Subscriber]
  private let threads: [OSThread]
  private let statuses: [Locked<Status>]
  private let isOver = Locked(false)
  /// The revision of the awaited fence.
  private let fence = Locked<UInt64>(.max)

  init(_ count: Int, _ address: HostAndPort, keyCount: Int) throws {
    let subscribers = try (0..<count).map { _ in try Subscriber(address, keyCount: keyCount) }
    let statuses = (0..<2).map { _ in Locked(Status()) }
    let (isOver, fence) = (isOver, fence)
    threads = statuses.indices.map { index in
      let own = subscribers.indices.filter { $0 % statuses.count == index }.map { subscribers[$0] }
      return OSThread(name: "crowd-\(index)") {
        readAll(own, statuses[index], isOver: { isOver.withLock { $0 } }, fence: { fence.withLock { $0 } })
      }
    }
    self.subscribers = subscribers
    self.statuses = statuses
    try wait("every watch is open", seconds: 60) { $0.ready == count }
  }

  deinit { stop() }

  var status: Status {
    statuses.reduce(into: Status()) { sum, each in
      let status = each.withLock { $0 }
      sum.fence = min(sum.fence, status.fence)
      sum.ready += status.ready
      sum.done += status.done
      sum.lastDone = max(sum.lastDone, status.lastDone)
      sum.notices += status.notices
      sum.problem = sum.problem ?? status.problem
    }
  }

  func wait(_ what: String, seconds: Double, until holds: (Status) -> Bool) throws {
    try poll(what, timeout: .seconds(seconds)) {
      let status = status
      if let problem = status.problem { throw TestFailure("a subscriber: \(problem)") }
      return holds(status)
    }
  }

  /// Waits until every subscriber has received the fence of this revision, or a RESYNC at that revision or a later one.
  /// Returns the time when the last of them received it.
  func waitForFence(_ revision: UInt64, seconds: Double) throws -> MonotonicTime {
    fence.withLock { $0 = revision }
    try wait("every subscriber has the last change", seconds: seconds) {
      $0.fence == revision && $0.done == subscribers.count
    }
    return status.lastDone
  }

  /// Ends the reading threads. Afterwards the caller's thread may use the subscribers.
  func stop() {
    guard
      !isOver.withLock({ isOver in
        defer { isOver = true }
        return isOver
      })
    else { return }
    for thread in threads { thread.join() }
  }

  /// Closes the connections.
  func close() {
    stop()
    subscribers = []
  }
}

/// Reads from all subscribers until `isOver` returns true.
private func readAll(
  _ subscribers: [Subscriber], _ status: Locked<Crowd.Status>, isOver: () -> Bool, fence: () -> UInt64
) {
  let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 * 1024, alignment: 16)
  defer { memory.deallocate() }
  let arena = ProtobufArena()
  var files = subscribers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
  while !isOver() {
    let wanted = fence()
    var current = Crowd.Status(fence: wanted)
    if Glibc.poll(&files, nfds_t(files.count), 50) < 0, errno != EINTR { current.problem = "poll failed" }
    for (index, subscriber) in subscribers.enumerated() {
      if files[index].revents != 0 { _ = subscriber.read(memory, arena) }
      current.problem = current.problem ?? subscriber.problem
      current.notices += subscriber.noticeCount
      if subscriber.isReady { current.ready += 1 }
      if subscriber.fenceRevision >= wanted {
        current.done += 1
        current.lastDone = max(current.lastDone, subscriber.fenceTime)
      }
    }
    status.withLock { $0 = current }
  }
}
