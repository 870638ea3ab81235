// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupBSON
public import ConfigLookupCore

extension MongodModel {
  /// Runs a command once; nil if there is no primary.
  fileprivate mutating func run(
    _ command: BSONDocument, database: String, member: Int?, clusterTime: Revision
  ) -> Outcome? {
    set.clusterTime = max(set.clusterTime, clusterTime)
    guard let index = member ?? set.primary else { return nil }
    var builder = BSONBuilder(command)
    builder.append("writeConcern") { $0.append("w", Int32(1)) }
    var attempt = Attempt(startedAt: set.now)
    attempt.hasBegun = true
    return handle(Request(builder.document, database: database), at: index, &attempt)
  }
}

// What a scenario does to the deployment. Members and shards are named by their indices; a member without a number is
// the primary.

extension MongoModel {
  private func change<Result>(_ shard: Int, _ body: (inout MongodModel) -> Result) -> Result {
    shared.change { body(&$0.shards[shard]) }
  }

  // MARK: Writing

  /// Runs a command at a member as a client without a session would, without waiting for a write concern.
  ///
  /// - Parameters:
  ///   - command: the command.
  ///   - database: the name of the database.
  ///   - member: the index of the member; nil for the primary.
  ///   - shard: the index of the shard.
  /// - Returns: the reply.
  /// - Throws: a ``CommandError`` if the command fails, waits, or there is no primary.
  @discardableResult
  public func run(
    _ command: BSONDocument, database: String, member: Int? = nil, shard: Int = 0
  ) throws(CommandError) -> BSONDocument {
    let outcome: Outcome? = shared.change { cluster in
      // Shards learn each other's time from their clients, so later commands have later times.
      let clusterTime = cluster.shards.map(\.set.clusterTime).max() ?? .none
      return cluster.shards[shard].run(command, database: database, member: member, clusterTime: clusterTime)
    }
    guard case .reply(let reply) = outcome else {
      throw CommandError(-1, "NoReply", "there is no primary, or it waits")
    }
    if reply.field("ok")?.isTrue != true {
      throw CommandError(
        Int32(clamping: reply.field("code")?.integer ?? 0), reply.field("codeName")?.text ?? "",
        reply.field("errmsg")?.text ?? "")
    }
    if let error = reply.field("writeErrors")?.elements.first?.document {
      throw CommandError(
        Int32(clamping: error.field("code")?.integer ?? 0), "", error.field("errmsg")?.text ?? "")
    }
    return reply
  }

  /// Inserts documents with one command.
  ///
  /// - Parameters:
  ///   - namespace: the collection, as `DATABASE.COLLECTION`.
  ///   - documents: the documents.
  ///   - member: the index of the member; nil for the primary.
  ///   - shard: the index of the shard.
  /// - Returns: the time of the last entry.
  /// - Throws: a ``CommandError``.
  @discardableResult
  public func insert(
    _ namespace: String, _ documents: [BSONDocument], member: Int? = nil, shard: Int = 0
  ) throws(CommandError) -> Revision {
    let name = Namespace(namespace)
    let command = BSONDocument {
      $0.append("insert", name.collection)
      $0.append("documents", array: documents)
    }
    return time(try run(command, database: name.database, member: member, shard: shard))
  }

  /// Updates or replaces the documents that a query finds.
  ///
  /// - Parameters:
  ///   - namespace: the collection, as `DATABASE.COLLECTION`.
  ///   - query: the query.
  ///   - change: the operators, or the new document.
  ///   - upserts: whether a document is inserted if none is found.
  ///   - member: the index of the member; nil for the primary.
  ///   - shard: the index of the shard.
  /// - Returns: the time of the last entry.
  /// - Throws: a ``CommandError``.
  @discardableResult
  public func update(
    _ namespace: String, _ query: BSONDocument, _ change: BSONDocument, upserts: Bool = false, member: Int? = nil,
    shard: Int = 0
  ) throws(CommandError) -> Revision {
    let name = Namespace(namespace)
    let command = BSONDocument {
      $0.append("update", name.collection)
      $0.append(
        "updates",
        array: [
          BSONDocument {
            $0.append("q", query)
            $0.append("u", change)
            $0.append("upsert", upserts)
          }
        ])
    }
    return time(try run(command, database: name.database, member: member, shard: shard))
  }

  /// Deletes the first document that a query finds.
  ///
  /// - Parameters:
  ///   - namespace: the collection, as `DATABASE.COLLECTION`.
  ///   - query: the query.
  ///   - member: the index of the member; nil for the primary.
  ///   - shard: the index of the shard.
  /// - Returns: the time of the last entry.
  /// - Throws: a ``CommandError``.
  @discardableResult
  public func delete(
    _ namespace: String, _ query: BSONDocument, member: Int? = nil, shard: Int = 0
  ) throws(CommandError) -> Revision {
    let name = Namespace(namespace)
    let command = BSONDocument {
      $0.append("delete", name.collection)
      $0.append(
        "deletes",
        array: [
          BSONDocument {
            $0.append("q", query)
            $0.append("limit", Int32(1))
          }
        ])
    }
    return time(try run(command, database: name.database, member: member, shard: shard))
  }

  /// Changes several documents in one transaction.
  ///
  /// - Parameters:
  ///   - shard: the index of the shard.
  ///   - commands: the commands that write, with their databases.
  /// - Returns: the time of its entry.
  /// - Throws: a ``CommandError``.
  @discardableResult
  public func transaction(
    shard: Int = 0, _ commands: [(database: String, command: BSONDocument)]
  ) throws(CommandError) -> Revision {
    let session = BSONDocument { $0.append("id", uuid: change(shard) { $0.set.makeID(count: 16) }) }
    func append(_ builder: inout BSONBuilder) {
      builder.append("lsid", session)
      builder.append("txnNumber", Int64(1))
      builder.append("autocommit", false)
    }
    for (database, command) in commands {
      var builder = BSONBuilder(command)
      append(&builder)
      try run(builder.document, database: database, shard: shard)
    }
    var commit = BSONBuilder()
    commit.append("commitTransaction", Int32(1))
    append(&commit)
    return time(try run(commit.document, database: "admin", shard: shard))
  }

  /// Writes entries that no stream of a collection contains, in one moment.
  ///
  /// - Parameters:
  ///   - count: the number of entries.
  ///   - shard: the index of the shard.
  public func writeNoops(_ count: Int, shard: Int = 0) {
    change(shard) { model in
      guard let primary = model.set.primary else { return }
      for _ in 0..<count { model.set.append([], at: primary) }
    }
  }

  private func time(_ reply: BSONDocument) -> Revision {
    let time = reply.field("operationTime")?.withValue(\.timestamp)
    return time.map { Revision(seconds: $0.seconds, increment: $0.increment) } ?? .none
  }

  // MARK: Replication

  /// Commits nothing later than what is committed now, until ``commit(upTo:shard:)``.
  ///
  /// - Parameter shard: the index of the shard.
  public func holdCommits(shard: Int = 0) {
    change(shard) { model in
      model.set.commitLimit = model.set.primary.map { model.set.members[$0].commitPoint }
    }
  }

  /// Allows entries up to a time to be committed.
  ///
  /// - Parameters:
  ///   - time: the time; nil for all entries.
  ///   - shard: the index of the shard.
  public func commit(upTo time: Revision? = nil, shard: Int = 0) {
    change(shard) { model in
      model.set.commitLimit = time
      model.set.replicate()
    }
  }

  /// Sets how long a write needs to be committed.
  ///
  /// - Parameters:
  ///   - seconds: the time in seconds.
  ///   - shard: the index of the shard.
  public func delayCommits(_ seconds: Double, shard: Int = 0) {
    change(shard) {
      $0.set.commitDelay = seconds
      $0.set.replicate()
    }
  }

  /// Sets how long a member takes to replicate an entry.
  ///
  /// - Parameters:
  ///   - seconds: the time in seconds.
  ///   - member: the index of the member.
  ///   - shard: the index of the shard.
  public func delayReplication(_ seconds: Double, of member: Int, shard: Int = 0) {
    change(shard) {
      $0.set.members[member].replicationDelay = seconds
      $0.set.replicate()
    }
  }

  /// Sets the interval of the no-ops of an idle primary.
  ///
  /// - Parameters:
  ///   - seconds: the interval in seconds; nil for none.
  ///   - shard: the index of the shard.
  public func setNoopInterval(_ seconds: Double?, shard: Int = 0) {
    change(shard) { $0.set.noopInterval = seconds }
  }

  /// Separates members: those with the same number reach each other. Clients reach all of them.
  ///
  /// - Parameters:
  ///   - networks: the number of each member.
  ///   - shard: the index of the shard.
  public func partition(_ networks: [Int], shard: Int = 0) { change(shard) { $0.set.partition(networks) } }

  /// Makes a member the primary of a new term.
  ///
  /// - Parameters:
  ///   - member: the index of the member.
  ///   - shard: the index of the shard.
  public func elect(_ member: Int, shard: Int = 0) { change(shard) { $0.set.elect(member) } }

  /// Makes the primary a secondary; then there is none.
  ///
  /// - Parameters:
  ///   - member: the index of the member; nil for the primary.
  ///   - shard: the index of the shard.
  public func stepDown(_ member: Int? = nil, shard: Int = 0) {
    change(shard) { model in
      if let index = member ?? model.set.primary { model.set.becomeSecondary(index) }
    }
  }

  /// Ends the process of a member, or starts it again as a secondary. Its data is kept.
  ///
  /// - Parameters:
  ///   - isUp: whether it is to run.
  ///   - member: the index of the member.
  ///   - shard: the index of the shard.
  public func setRunning(_ isUp: Bool, member: Int, shard: Int = 0) {
    change(shard) { model in
      guard model.set.members[member].isUp != isUp else { return }
      let node = model.set.members[member]
      model.set.members[member].state = isUp ? (node.isArbiter ? .arbiter : .secondary) : .down
      model.set.disconnect(member)
      model.set.replicate()
    }
  }

  /// Puts a secondary into the state RECOVERING, or out of it.
  ///
  /// - Parameters:
  ///   - isRecovering: whether it is recovering.
  ///   - member: the index of the member.
  ///   - shard: the index of the shard.
  public func setRecovering(_ isRecovering: Bool, member: Int, shard: Int = 0) {
    change(shard) { model in
      model.set.members[member].state = isRecovering ? .recovering : .secondary
      model.set.members[member].topologyCounter += 1
      model.set.replicate()
    }
  }

  /// Makes the sockets of a member silent: connections are neither answered nor closed.
  ///
  /// - Parameters:
  ///   - isSilent: whether they are silent.
  ///   - member: the index of the member.
  ///   - shard: the index of the shard.
  public func setSilent(_ isSilent: Bool, member: Int, shard: Int = 0) {
    shared.change { cluster in
      let endpoint = Endpoint.member(shard: shard, index: member)
      if isSilent { cluster.silent.insert(endpoint) } else { cluster.silent.remove(endpoint) }
    }
  }

  // MARK: Change streams

  /// Truncates the oplog of each member to its last entries.
  ///
  /// - Parameters:
  ///   - count: the number of entries to keep.
  ///   - shard: the index of the shard.
  public func truncateOplog(keeping count: Int, shard: Int = 0) {
    change(shard) { model in
      for index in model.set.members.indices {
        let entries = model.set.members[index].oplog.entries.count
        model.set.members[index].oplog.truncate(count: max(0, entries - count))
      }
      model.set.changeCount += 1
    }
  }

  /// Sets the greatest number of events in a batch of a change stream.
  ///
  /// - Parameters:
  ///   - count: the number; nil for mongod's own limits.
  ///   - shard: the index of the shard.
  public func setEventsPerBatch(_ count: Int?, shard: Int = 0) { change(shard) { $0.eventsPerBatch = count } }

  /// Sets how many oplog entries a change stream examines in a second.
  ///
  /// - Parameters:
  ///   - entries: the number; nil for no limit.
  ///   - shard: the index of the shard.
  public func setScanRate(_ entries: Double?, shard: Int = 0) { change(shard) { $0.scannedPerSecond = entries } }

  /// Sets the time as of which `updateLookup` reads.
  ///
  /// - Parameters:
  ///   - time: the time; nil for the commit point at that moment.
  ///   - shard: the index of the shard.
  public func setLookupTime(_ time: Revision?, shard: Int = 0) { change(shard) { $0.lookupTime = time } }

  /// Lets the post-images of all changes so far expire.
  ///
  /// - Parameter shard: the index of the shard.
  public func expireImages(shard: Int = 0) {
    change(shard) { $0.set.imagesExpiredThrough = $0.set.clusterTime }
  }

  /// Makes commands fail, hang up or wait.
  ///
  /// - Parameters:
  ///   - points: what replaces the present fail points.
  ///   - shard: the index of the shard.
  public func fail(_ points: [FailPoint], shard: Int = 0) { change(shard) { $0.failPoints = points } }

  // MARK: Looking

  /// The commit point that a member knows.
  ///
  /// - Parameters:
  ///   - member: the index of the member; nil for the primary.
  ///   - shard: the index of the shard.
  /// - Returns: the time; none if there is no primary.
  public func commitPoint(_ member: Int? = nil, shard: Int = 0) -> Revision {
    shared.use { cluster in
      let set = cluster.shards[shard].set
      return (member ?? set.primary).map { set.members[$0].commitPoint } ?? .none
    }
  }

  /// The time of the last entry of a member.
  ///
  /// - Parameters:
  ///   - member: the index of the member; nil for the primary.
  ///   - shard: the index of the shard.
  /// - Returns: the time; none if there is no primary.
  public func lastApplied(_ member: Int? = nil, shard: Int = 0) -> Revision {
    shared.use { cluster in
      let set = cluster.shards[shard].set
      return (member ?? set.primary).map { set.members[$0].lastApplied } ?? .none
    }
  }

  /// How often each command was received since the start, by name. The attempts of one that waits count once.
  ///
  /// - Parameters:
  ///   - name: the name of the command.
  ///   - member: the index of the member; nil for all.
  ///   - shard: the index of the shard.
  /// - Returns: the number.
  public func commandCount(_ name: String, member: Int? = nil, shard: Int = 0) -> Int {
    shared.use { cluster in
      let members = cluster.shards[shard].set.members
      return members.indices.reduce(0) { sum, index in
        member == nil || member == index ? sum + (cluster.shards[shard].commandCounts[index]?[name] ?? 0) : sum
      }
    }
  }
}

extension MongoModel {
  /// Sets how long a shard takes to answer the routers.
  ///
  /// - Parameters:
  ///   - seconds: the time in seconds.
  ///   - shard: the index of the shard.
  public func setShardDelay(_ seconds: Double, shard: Int) {
    shared.change { cluster in
      for index in cluster.routers.indices { cluster.routers[index].shardDelays[shard] = seconds }
    }
  }

  /// Sets whether the routers report their clock as `operationTime`, instead of the highest time of the shards.
  ///
  /// - Parameter reportsClock: whether they do.
  public func setRouterReportsClock(_ reportsClock: Bool) {
    shared.change { cluster in
      for index in cluster.routers.indices { cluster.routers[index].reportsClock = reportsClock }
    }
  }
}
