// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

/// The members of a replica set, and the rules of replication between them.
struct ReplicaSet {
  let name: String
  private(set) var id: [UInt8]
  var members: [Member]
  /// Changes of the configuration; clients compare it.
  var setVersion: Int32 = 1
  /// The highest cluster time that any member knows.
  var clusterTime: Revision
  /// Nothing later is committed; nil for no limit.
  var commitLimit: Revision?
  /// How long a write needs to be committed, in seconds.
  var commitDelay = 0.0
  /// The seconds between no-ops of an idle primary; nil for none.
  var noopInterval: Double? = 10
  /// How long a primary without a majority remains primary, in seconds. The default is infinite: a partition is what
  /// a scenario makes of it.
  var loneLimit = Double.infinity
  var maximumOplogBytes = 256 << 20
  /// Post-images of changes up to this time have expired.
  var imagesExpiredThrough = Revision.none
  /// Seconds of the model's clock, and milliseconds since 1970.
  var now = 0.0
  var wallNow: Int64 = 0
  /// Counts what may let a waiting command continue.
  var changeCount = 0
  private var idCount: UInt64 = 0
  private let seed: UInt64

  init(name: String, ports: [UInt16], arbiters: Int, seed: UInt64, wallNow: Int64, now: Double) {
    self.name = name
    self.seed = seed
    self.now = now
    self.wallNow = wallNow
    clusterTime = Revision(seconds: UInt32(clamping: wallNow / 1000), increment: 0)
    members = []
    id = []
    id = makeID(count: 12)
    for (index, port) in ports.enumerated() {
      let isArbiter = index >= ports.count - arbiters
      members.append(
        Member(
          port: port, state: isArbiter ? .arbiter : (index == 0 ? .primary : .secondary), isArbiter: isArbiter,
          processID: makeID(count: 12)))
    }
    members[0].electionID = electionID(term: 1)
    // The entry of the initiation.
    append([], at: 0)
  }

  /// Makes a unique id, the same for the same seed.
  mutating func makeID(count: Int) -> [UInt8] {
    idCount += 1
    var state = seed ^ (idCount &* 0x9E37_79B9_7F4A_7C15)
    return (0..<count).map { _ in
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return UInt8(truncatingIfNeeded: state >> 24)
    }
  }

  private func electionID(term: Int64) -> [UInt8] { [0x7F, 0xFF, 0xFF, 0xFF] + littleEndian(term).reversed() }

  /// The member that is primary in the newest term; nil if there is none.
  var primary: Int? {
    members.indices.filter { members[$0].state == .primary }.max { members[$0].term < members[$1].term }
  }

  // MARK: Writing

  /// Returns the next cluster time for a write.
  mutating func tick() -> Revision {
    let wall = UInt32(clamping: wallNow / 1000)
    clusterTime =
      wall > clusterTime.seconds
      ? Revision(seconds: wall, increment: 1) : Revision(clusterTime.rawValue + 1)
    return clusterTime
  }

  /// Writes an entry at a primary, and replicates it. Returns its time.
  @discardableResult
  mutating func append(
    _ operations: [Operation], at index: Int, transaction: TransactionID? = nil, commitTimestamp: Revision? = nil
  ) -> Revision {
    let time = tick()
    let entry = OplogEntry(
      time: time, term: members[index].term, wallTime: wallNow, writtenAt: now, operations: operations,
      transaction: transaction, commitTimestamp: commitTimestamp)
    apply(entry, at: index)
    replicate()
    return time
  }

  private mutating func apply(_ entry: OplogEntry, at index: Int) {
    members[index].oplog.append(entry, maximumBytes: maximumOplogBytes)
    let horizon = min(members[index].oplog.truncatedThrough, members[index].commitPoint)
    members[index].store.apply(entry, horizon: horizon)
  }

  // MARK: Replication

  func canReach(_ one: Int, _ other: Int) -> Bool {
    members[one].isUp && members[other].isUp && members[one].network == members[other].network
  }

  /// Copies entries to the members that can have them by now, and advances commit points.
  mutating func replicate() {
    changeCount += 1
    if members.count == 1 { return commit(at: 0) }
    for primary in members.indices where members[primary].state == .primary {
      for index in members.indices where index != primary && !members[index].isArbiter && canReach(index, primary) {
        pull(to: index, from: primary)
      }
      commit(at: primary)
    }
  }

  private mutating func pull(to index: Int, from primary: Int) {
    guard members[index].state == .secondary, members[index].term <= members[primary].term else { return }
    rollBackIfNeeded(index, source: primary)
    members[index].term = members[primary].term
    let due = now - members[index].replicationDelay
    var next = members[primary].oplog.firstIndex(after: members[index].lastApplied)
    while next < members[primary].oplog.entries.count, members[primary].oplog.entries[next].writtenAt <= due {
      apply(members[primary].oplog.entries[next], at: index)
      next += 1
    }
  }

  /// Removes the entries of a member that its source does not have. All its connections are closed, and its cursors
  /// are gone.
  private mutating func rollBackIfNeeded(_ index: Int, source: Int) {
    guard let last = members[index].oplog.entries.last,
      !members[source].oplog.contains(last.time, term: last.term),
      last.time > members[source].oplog.truncatedThrough
    else { return }
    var common = members[index].oplog.truncatedThrough
    for entry in members[index].oplog.entries.reversed()
    where members[source].oplog.contains(entry.time, term: entry.term) {
      common = entry.time
      break
    }
    _ = members[index].oplog.removeEntries(after: common)
    members[index].store.rollBack(to: common)
    precondition(members[index].commitPoint <= common, "what the majority has is never rolled back")
    disconnect(index)
  }

  /// Closes the connections and the cursors of a member.
  mutating func disconnect(_ index: Int) {
    members[index].cursors = [:]
    members[index].disconnections += 1
    members[index].topologyCounter += 1
    changeCount += 1
  }

  /// Advances the commit point of a primary, and of the members that can reach it.
  private mutating func commit(at primary: Int) {
    let reached = members.indices.filter { $0 == primary || canReach($0, primary) }
    let applied = reached.filter { !members[$0].isArbiter }.map { index in
      // A member on another branch has nothing of this one.
      members[index].state == .primary && index != primary ? Revision.none : members[index].lastApplied
    }.sorted(by: >)
    let majority = members.count / 2 + 1
    guard applied.count >= majority else { return }
    var time = min(applied[majority - 1], commitLimit ?? .init(.max))
    if commitDelay > 0 { time = min(time, lastTime(writtenBefore: now - commitDelay, at: primary)) }
    // Only an entry of its own term makes a primary commit.
    if term(of: time, at: primary) != members[primary].term { time = .none }
    time = max(time, members[primary].commitPoint)
    for index in reached {
      members[index].commitPoint = max(members[index].commitPoint, min(time, members[index].lastApplied))
    }
  }

  private func lastTime(writtenBefore limit: Double, at index: Int) -> Revision {
    let entries = members[index].oplog.entries
    var place = entries.count - 1
    while place >= 0, entries[place].writtenAt > limit { place -= 1 }
    return place >= 0 ? entries[place].time : .none
  }

  private func term(of time: Revision, at index: Int) -> Int64 {
    let place = members[index].oplog.firstIndex(after: time) - 1
    return place >= 0 ? members[index].oplog.entries[place].term : 0
  }

  // MARK: Elections

  /// Makes a member the primary of a new term. A primary that it can reach steps down. One that it cannot reach remains
  /// primary of its old term until it is connected again.
  mutating func elect(_ index: Int) {
    let term = (members.map(\.term).max() ?? 0) + 1
    for other in members.indices where canReach(index, other) {
      if other != index, members[other].state == .primary { becomeSecondary(other) }
      members[other].term = term
    }
    members[index].state = .primary
    members[index].term = term
    members[index].electionID = electionID(term: term)
    for other in members.indices where canReach(index, other) { members[other].topologyCounter += 1 }
    append([], at: index)
  }

  /// Makes a primary a secondary. Its connections and cursors remain, as since MongoDB 4.2.
  mutating func becomeSecondary(_ index: Int) {
    guard members[index].state == .primary else { return }
    members[index].state = .secondary
    members[index].loneSince = nil
    members[index].topologyCounter += 1
    changeCount += 1
  }

  /// Connects and disconnects members: those with the same number reach each other. A primary that meets a newer term
  /// steps down.
  mutating func partition(_ networks: [Int]) {
    for (index, network) in networks.enumerated() { members[index].network = network }
    for index in members.indices where members[index].state == .primary {
      let newer = members.indices.contains { canReach(index, $0) && members[$0].term > members[index].term }
      if newer { becomeSecondary(index) }
    }
    replicate()
  }

  // MARK: Time

  /// Tells the time: waiting entries are replicated and committed, and an idle primary writes a no-op.
  mutating func advance(now: Double, wallNow: Int64) {
    self.now = now
    self.wallNow = wallNow
    if members.contains(where: { $0.replicationDelay > 0 }) || commitDelay > 0 { replicate() }
    for index in members.indices where members[index].state == .primary {
      if let noopInterval, let last = members[index].oplog.entries.last, now - last.writtenAt >= noopInterval {
        append([], at: index)
      }
      let reached = members.indices.count { $0 == index || canReach($0, index) }
      if reached < members.count / 2 + 1 {
        let since = members[index].loneSince ?? now
        members[index].loneSince = since
        if now - since >= loneLimit { becomeSecondary(index) }
      } else {
        members[index].loneSince = nil
      }
    }
  }
}
