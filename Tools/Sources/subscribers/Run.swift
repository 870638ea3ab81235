// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupNetwork
internal import Glibc
internal import ProtobufMessages
internal import TestSupport

/// The size of the coalescing queue of a subscriber that reads nothing: the default of `LookupService.Options`.
private let queuedKeysMax = 10_000
/// A number of new keys that is larger than the queue and the socket buffers together can hold.
private let burst = 12_000
/// The maximum number of bytes of server memory for an idle subscriber, and for one with a full queue.
private let idleBytesMax = 8 * 1024
private let fullBytesMax = 600 * 1024
private let mebibyte = 1024 * 1024

/// The whole measurement. It prints the measured values and each check, and counts the checks that fail. One thread
/// runs it.
final class Run {
  private let options: Options
  private let database: TestDatabase
  private let collection: Collection
  private(set) var failures = 0

  init(_ options: Options) throws {
    self.options = options
    try allowDescriptors(3 * options.subscribers + options.slow + 200)
    say("starting a database and a server")
    database = try TestDatabase()
    collection = try Collection(database, valueBytes: options.valueBytes)
    try collection.create(2000)
  }

  func all() throws {
    defer { database.close() }
    let readers = try ServerProcess(collection)
    try measureIdle(readers)
    try measureChanges(readers)
    try readers.stop()
    let queues = try ServerProcess(collection)
    try measureQueues(queues)
    try queues.stop()
  }

  // MARK: Idle

  private func measureIdle(_ server: ServerProcess) throws {
    let count = options.subscribers
    let none = try server.memory().resident
    let descriptors = try server.descriptorCount()
    let first = try Crowd(count, server.address, keyCount: 0)
    let some = try server.memory().resident
    let second = try Crowd(2 * count, server.address, keyCount: 0)
    let many = try server.memory().resident
    let each = (many - some) / (2 * count)
    say(
      "memory: \(mib(none)) with nobody, \(mib(some)) with \(count) idle subscribers, \(mib(many)) with \(3 * count): "
        + "\(each) bytes each")
    check(each <= idleBytesMax, "an idle subscriber costs at most \(idleBytesMax / 1024) KiB")
    first.close()
    second.close()
    try poll("the server has closed their connections") { try server.descriptorCount() <= descriptors }
  }

  // MARK: Changes

  private func measureChanges(_ server: ServerProcess) throws {
    let all = collection.keyCount + burst
    let lookups = try Lookups(server.address)
    let crowd = try Crowd(options.subscribers, server.address, keyCount: all)
    let before = try server.memory().resident
    let firstChange = collection.changeCount + 1

    say("\(options.changes) changes to \(collection.keyCount) keys, one block after the other")
    try observe(server, crowd, lookups, before, changes: options.changes) { try collection.change(options.changes) }

    say("\(burst) new keys at once, and one subscriber more, that never reads")
    let stalled = try Subscriber(server.address, keyCount: all, includesValues: true)
    try poll("the one that never reads is subscribed") { stalled.hasInput }
    let firstOfBurst = collection.changeCount + 1
    let fence = try observe(server, crowd, lookups, before, changes: burst) { try collection.create(burst) }
    crowd.stop()

    let answers = try lookups.revisions(collection, since: firstChange)
    let missed = crowd.subscribers.map { $0.missed(answers) }.reduce(0, +)
    let resynced = crowd.subscribers.count { !$0.resyncs.isEmpty }
    check(
      missed == 0,
      "each of \(options.subscribers) has the last state of each of \(answers.count { $0 > 0 }) keys"
        + (resynced > 0 ? ", or was told to look them up again: \(resynced) of them" : ""))
    try checkStalled(stalled, lookups, fence, since: firstOfBurst)
    crowd.close()
    say("memory: \(mib(try server.memory().resident)) when all have left")
  }

  /// Runs `change`, waits until every subscriber has received its last notice, and prints the duration and the server's
  /// CPU time and memory.
  @discardableResult
  private func observe(
    _ server: ServerProcess, _ crowd: Crowd, _ lookups: Lookups, _ before: Int, changes: Int,
    _ change: () throws -> Void
  ) throws -> Fence {
    try server.forgetPeak()
    let (noticesBefore, processorBefore) = (crowd.status.notices, try server.processorSeconds())
    let began = MonotonicTime.now
    try change()
    let fence = try lookups.passFence(collection)
    let told = try crowd.waitForFence(fence.revision, seconds: 120)
    let memory = try server.memory()
    let notices = crowd.status.notices - noticesBefore
    say(
      "written in \(seconds(fence.written, since: began)); the last change was answered after "
        + "\(seconds(fence.served, since: fence.written)), and told to the last subscriber after "
        + seconds(told, since: fence.written))
    say(
      "\(notices) notices read, \(rate(notices, told, began)) a second; the server's processor time: "
        + "\(Int(try server.processorSeconds() - processorBefore)) s")
    say(
      "memory: \(mib(before)) with all of them idle, at most \(mib(memory.peak)) meanwhile, "
        + "\(mib(memory.resident)) afterwards")
    // The changes cost memory for the documents and the replay buffer, which does not depend on the subscribers. In
    // addition, every subscriber may have a full queue.
    let bound =
      before + 64 * mebibyte + (options.changes + burst) * (options.valueBytes + 3 * 1024)
      + options.subscribers * fullBytesMax
    check(memory.peak <= bound, "the server's memory stayed within \(mib(bound))")
    return fence
  }

  /// Checks that a subscriber that did not read receives the notices that were in the buffers, then one RESYNC, and
  /// then the changes after it.
  private func checkStalled(_ stalled: Subscriber, _ lookups: Lookups, _ fence: Fence, since first: Int) throws {
    try drain(stalled, until: fence)
    let missed = stalled.missed(try lookups.revisions(collection, since: first))
    check(
      stalled.resyncs.count == 1 && missed == 0,
      "the one that never read gets \(stalled.noticeCount) notices, and one RESYNC that stands for the rest")
    let next = try lookups.passFence(collection)
    try drain(stalled, until: next)
    check(
      stalled.resyncs.count == 1 && stalled.fenceRevision == next.revision, "and after it the next change, as a notice")
  }

  // MARK: Full queues

  private func measureQueues(_ server: ServerProcess) throws {
    let lookups = try Lookups(server.address)
    // Every event loop has some of these readers. When they have received a change, it is also in the queues of the
    // slow subscribers of the same loop.
    let readers = try Crowd(8, server.address, keyCount: collection.keyCount + queuedKeysMax + burst)
    say("filling the queues of \(options.slow) subscribers that never read")
    func create(_ count: Int) throws -> (memory: Int, fence: Fence) {
      try collection.create(count)
      let fence = try lookups.passFence(collection)
      _ = try readers.waitForFence(fence.revision, seconds: 60)
      return (try server.memory().resident, fence)
    }
    let none = try server.memory().resident
    // The same changes are made twice. The first time, no subscriber is slow.
    let changed = try create(queuedKeysMax).memory
    let slow = try (0..<options.slow).map { _ in
      try Subscriber(server.address, keyCount: collection.keyCount + burst, includesValues: true)
    }
    try poll("all of them are subscribed") { slow.allSatisfy(\.hasInput) }
    let idle = try server.memory().resident
    let first = collection.changeCount + 1
    let full = try create(queuedKeysMax).memory
    let (overflowed, fence) = try create(burst - queuedKeysMax)
    let each = (full - idle - (changed - none)) / slow.count
    say(
      "memory: \(mib(none)) with nobody slow; \(mib(changed - none)) more for \(queuedKeysMax) new keys; "
        + "\(mib(full - idle)) more for as many and \(slow.count) full queues: \(each / 1024) KiB each; "
        + "\(mib(overflowed)) in all once each is one RESYNC")
    check(each <= fullBytesMax, "a subscriber with a full queue costs at most \(fullBytesMax / 1024) KiB")
    for subscriber in slow { try drain(subscriber, until: fence) }
    let answers = try lookups.revisions(collection, since: first)
    check(
      slow.allSatisfy { $0.resyncs.count == 1 && $0.missed(answers) == 0 },
      "each of them gets one RESYNC, and misses nothing")
    readers.close()
  }

  // MARK: Helpers

  /// Reads until the subscriber has received the fence, or a RESYNC at its revision or a later one.
  private func drain(_ subscriber: Subscriber, until fence: Fence) throws {
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
    defer { memory.deallocate() }
    let arena = ProtobufArena()
    try poll("who never read has caught up", timeout: .seconds(30)) {
      while subscriber.read(memory, arena) {}
      if let problem = subscriber.problem {
        throw TestFailure(
          "who never read: \(problem). After 30 s without a byte taken the server cuts it off: on a slow machine, take "
            + "fewer --subscribers")
      }
      return subscriber.fenceRevision >= fence.revision
    }
  }

  private func check(_ holds: Bool, _ text: String) {
    if !holds { failures += 1 }
    say("\(holds ? "ok" : "FAILED"): \(text)")
  }
}

func say(_ text: String) {
  print("subscribers: \(text)")
  fflush(nil)
}

private func mib(_ bytes: Int) -> String { "\((bytes + mebibyte / 2) / mebibyte) MiB" }

private func seconds(_ end: MonotonicTime, since start: MonotonicTime) -> String {
  "\(Double(end.milliseconds(since: start)) / 1000) s"
}

private func rate(_ count: Int, _ end: MonotonicTime, _ start: MonotonicTime) -> Int {
  Int(Double(count) / max(end.duration(since: start).seconds, 0.001))
}

/// Raises the limit of open file descriptors to `count`, for this process and the server that it starts.
private func allowDescriptors(_ count: Int) throws {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  guard limit.rlim_cur < count else { return }
  guard limit.rlim_max >= count else {
    throw TestFailure(
      "\(count) open files are needed, and \(limit.rlim_max) are allowed: raise the limit (ulimit -Hn), or take fewer "
        + "--subscribers")
  }
  limit.rlim_cur = rlim_t(count)
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
}
