// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import Guarantees
internal import ServiceTestSupport
internal import TestSupport

/// The result of a fault.
struct Report {
  let fault: String
  let tries: Int
  let writes: Int
  /// Over all subscribers: the number of changes of answers; of these, the number that were received themselves, and
  /// the number that were replaced by a later notice of the key or by a RESYNC.
  let expected: Int
  let received: Int
  let merged: Int
  let lookups: Int
  let lookupsAfterNotice: Int
  let recoverySeconds: Double
  let resyncs: UInt64
  let reconnects: UInt64
  let violations: [Violation]
  let troubles: [String]
  let details: [String]
  let logs: URL?

  init(_ bench: Bench) {
    let state = bench.judge.with { $0 }
    fault = bench.fault.name
    tries = bench.cycleCount
    writes = state.writeCount
    let seen = bench.followers.map(\.seen)
    expected = state.changes.count * seen.count
    received = seen.reduce(0) { $0 + Self.received($1, of: state.changes) }
    merged = expected - received
    lookups = state.lookupCounts.values.reduce(0, +)
    lookupsAfterNotice = state.noticedLookupCount
    recoverySeconds = bench.recoverySeconds.max() ?? 0
    let counted = bench.servers.map(\.counted)
    resyncs = counted.reduce(0) { $0 + $1.resyncs }
    reconnects = counted.reduce(0) { $0 + $1.reconnects }
    violations = state.validator.violations
    var troubles = state.troubles
    let drift = counted.reduce(0) { $0 + $1.drift }
    for transport in Transport.allCases {
      if state.lookupCounts[transport] == nil { troubles.append("nobody has looked up over \(transport)") }
      if seen.allSatisfy({ $0.noticeCounts[transport] == nil }) {
        troubles.append("nobody has heard a notice over \(transport)")
      }
    }
    for selector in CacheKey.Selector.allCases {
      let name = selector.rawValue
      if state.selectorCounts[selector] == nil { troubles.append("nobody has looked up by \(name)") }
      if seen.allSatisfy({ $0.selectorCounts[selector] == nil }) {
        troubles.append("nobody has heard a notice about a \(name)")
      }
    }
    if drift > 0 { troubles.append("the servers have found drift: \(drift) keys") }
    self.troubles = troubles
    details = [
      "watches opened: \(seen.reduce(0) { $0 + $1.watchCount }), RESYNCs: \(seen.reduce(0) { $0 + $1.resyncCount }), "
        + "notices with repetitions: \(seen.reduce(0) { $0 + $1.noticeCount }), "
        + "of them over gRPC: \(seen.reduce(0) { $0 + ($1.noticeCounts[.gRPC] ?? 0) }), "
        + "lookups over gRPC: \(state.lookupCounts[.gRPC] ?? 0), "
        + "lookups by min_revision: \(state.askedCount) answered, \(state.refusedCount) refused, "
        + "writes tried again: \(state.retryCount), "
        + "connections reset by the proxies: \(bench.servers.reduce(0) { $0 + $1.proxy.resetCount })"
    ]
    logs = violations.isEmpty && troubles.isEmpty ? nil : Self.keepLogs(bench)
  }

  var isGood: Bool { violations.isEmpty && troubles.isEmpty }

  /// The number of answers that a subscriber holds although they have changed.
  var missed: Int { violations.count { $0.guarantee == .nothingLost } }

  /// The number of answers that are older than earlier answers, announced changes or requested revisions.
  var stale: Int {
    violations.count { [.neverBack, .noticeAfterTheFact, .anyServer].contains($0.guarantee) }
  }

  static let heading =
    "fault                       tries  writes  expected  received   merged  missed  stale  lookups  recovery  "
    + "resyncs  reconnects  verdict"

  var line: String {
    let figures = [
      column("\(tries)", 7), column("\(writes)", 8), column("\(expected)", 10), column("\(received)", 10),
      column("\(merged)", 9), column("\(missed)", 8), column("\(stale)", 7), column("\(lookups)", 9),
      column(String(format: "%.2f s", recoverySeconds), 10), column("\(resyncs)", 9), column("\(reconnects)", 12),
    ]
    let name = fault + String(repeating: " ", count: max(0, 26 - fault.count))
    return name + figures.joined() + "  " + (isGood ? "kept" : "BROKEN")
  }

  /// The violations and troubles, in full.
  var findings: [String] {
    var lines = violations.prefix(20).map { "  violation of \($0)" }
    if violations.count > 20 { lines.append("  and \(violations.count - 20) more") }
    lines += troubles.map { "  not as it should be: \($0)" }
    if let logs { lines.append("  logs of servers, database and subscribers: \(logs.path)") }
    return lines
  }

  private func column(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(1, width - text.count)) + text
  }

  private static func received(_ seen: Follower.Seen, of changes: [(key: CacheKey, label: String?)]) -> Int {
    var deletes: [CacheKey: Int] = [:]
    var count = 0
    for (key, label) in changes {
      if let label {
        if seen.labels[key]?.contains(label) == true { count += 1 }
      } else {
        deletes[key, default: 0] += 1
      }
    }
    for (key, expected) in deletes { count += min(expected, seen.deleteCounts[key] ?? 0) }
    return count
  }

  private static func keepLogs(_ bench: Bench) -> URL? {
    let folder = bench.options.logFolder.appendingPathComponent("\(bench.fault.name)-\(bench.options.seed)")
    try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for server in bench.servers {
      let text = server.log.joined(separator: "\n") + "\n"
      try? text.write(to: folder.appendingPathComponent("server-\(server.name).log"), atomically: true, encoding: .utf8)
    }
    for follower in bench.followers {
      let text = follower.trail.joined(separator: "\n") + "\n"
      let file = folder.appendingPathComponent("subscriber \(follower.name).log")
      try? text.write(to: file, atomically: true, encoding: .utf8)
    }
    try? bench.database.lastLines.write(
      to: folder.appendingPathComponent("database.log"), atomically: true, encoding: .utf8)
    return folder
  }
}

/// Prints a line and flushes it, into a pipe too.
func output(_ line: String) {
  FileHandle.standardOutput.write(Data((line + "\n").utf8))
}
