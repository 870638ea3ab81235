// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// One member of a replica set.
struct Member {
  /// The state of a member, with mongod's number.
  enum State: Int32 {
    case primary = 1
    case secondary = 2
    case recovering = 3
    case arbiter = 7
    case down = 8
    case rollback = 9
  }

  /// The port on 127.0.0.1.
  var port: UInt16
  var state: State
  let isArbiter: Bool
  var oplog = Oplog()
  let store = Store()
  /// The newest term that the member knows.
  var term: Int64 = 1
  /// The majority commit point that the member knows.
  var commitPoint = Revision.none
  /// The members with the same number can reach each other.
  var network = 0
  /// How long the member takes to replicate an entry, in seconds; infinite if it is held.
  var replicationDelay = 0.0
  /// The seconds for which the member has been a primary without a majority; nil if it has one.
  var loneSince: Double?
  /// Counts the changes that clients learn from an awaited `hello`.
  var topologyCounter: Int64 = 1
  var processID: [UInt8]
  var electionID: [UInt8] = []
  var cursors: [Int64: ServerCursor] = [:]
  /// Counts the times at which all connections of the member were closed.
  var disconnections = 0

  var isUp: Bool { state != .down }
  var lastApplied: Revision { oplog.lastTime }
}
