// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

extension MongodModel {
  /// Answers `hello`: at once, or if the client names the topology that it knows, when that changes or the time has
  /// passed. The answer never has `moreToCome`, so the client asks again.
  func hello(_ request: Request, at index: Int, _ attempt: Attempt) throws(Interruption) -> BSONBuilder {
    let member = set.members[index]
    if personality.isReplicaSet, let known = request.body.field("topologyVersion")?.document,
      let milliseconds = request.body.field("maxAwaitTimeMS")?.integer,
      known.field("processId")?.bytes == member.processID,
      known.field("counter")?.integer == member.topologyCounter
    {
      let end = attempt.startedAt + Double(milliseconds) / 1000
      if set.now < end { throw .wait(until: end) }
    }
    var reply = BSONBuilder()
    let isPrimary = !personality.isReplicaSet || member.state == .primary
    reply.append("helloOk", true)
    reply.append(request.command == "hello" ? "isWritablePrimary" : "ismaster", isPrimary)
    if personality.isReplicaSet { describeSet(member, index, &reply) }
    reply.append("maxBsonObjectSize", Int32(16_777_216))
    reply.append("maxMessageSizeBytes", Int32(48_000_000))
    reply.append("maxWriteBatchSize", Int32(100_000))
    reply.append("localTime", dateMilliseconds: set.wallNow)
    reply.append("logicalSessionTimeoutMinutes", Int32(30))
    reply.append("connectionId", Int32(truncatingIfNeeded: request.connection))
    reply.append("minWireVersion", Int32(0))
    reply.append("maxWireVersion", personality.maximumWireVersion)
    reply.append("readOnly", false)
    return reply
  }

  private func describeSet(_ member: Member, _ index: Int, _ reply: inout BSONBuilder) {
    func host(_ index: Int) -> String { "127.0.0.1:\(set.members[index].port)" }
    reply.append("topologyVersion", topologyVersion(index))
    reply.append("secondary", member.state == .secondary)
    let data = set.members.indices.filter { !set.members[$0].isArbiter }
    let arbiters = set.members.indices.filter { set.members[$0].isArbiter }
    reply.append("hosts", array: data.map(host))
    if !arbiters.isEmpty { reply.append("arbiters", array: arbiters.map(host)) }
    if member.isArbiter { reply.append("arbiterOnly", true) }
    reply.append("setName", set.name)
    reply.append("setVersion", set.setVersion)
    // The primary is the one that the member can reach in its own term.
    if let primary = set.members.indices.first(where: {
      set.members[$0].state == .primary && set.members[$0].term == member.term
        && ($0 == index || set.canReach($0, index))
    }) {
      reply.append("primary", host(primary))
    }
    reply.append("me", host(index))
    if member.state == .primary { reply.append("electionId", type: .objectID, member.electionID) }
    guard !member.isArbiter else { return }
    reply.append("lastWrite") { write in
      func append(_ name: String, _ date: String, _ time: Revision) {
        write.append(name) {
          $0.append("ts", time)
          $0.append("t", member.term)
        }
        write.append(date, dateMilliseconds: Int64(time.seconds) * 1000)
      }
      append("opTime", "lastWriteDate", member.lastApplied)
      append("majorityOpTime", "majorityWriteDate", member.commitPoint)
    }
  }
}
