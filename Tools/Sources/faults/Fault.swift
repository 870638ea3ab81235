// SPDX-License-Identifier: Apache-2.0
/// A fault, and the way to cause it.
struct Fault: Sendable {
  let name: String
  /// The description of the fault in the output.
  let what: String
  /// Whether it is part of the short run.
  var isShort = false
  /// The flags of the database. The oplog is short, because SecantusDB reads all of it to open a stream at a time, and
  /// 20,000 entries take longer than a server waits. It is long enough that its pruning does not overtake an open
  /// stream.
  var flags = ["--oplog-max-entries", "5000"]
  /// Whether the fault runs once, because it iterates over a list by itself. Otherwise it is repeated for the given
  /// time.
  var isOnce = false
  /// The number of subscribers that alternate between the servers.
  var hopperCount = 1
  /// Causes the fault and ends it, while all threads work. The number of the try counts from 1.
  let strike: @Sendable (Bench, Int) throws -> Void

  static let all = database + errors + history + collections + network + servers
}
