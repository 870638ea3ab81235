// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Guarantees
internal import Simulation

/// Runs histories one after the other, until one violates a guarantee.
struct Campaign {
  struct Usage: Error {
    var reason = ""
    var isAskedFor: Bool { reason.isEmpty }

    var text: String {
      """
      \(reason.isEmpty ? "" : "simulate: \(reason)\n")usage: script/simulate [--histories N] [--seed S] [--steps N]
                             [--wild] [--verbose]

      Simulates histories of two servers over one database, and judges them against the service's guarantees.
      Everything of a history follows from its seed.

        --histories N   how many histories (default 1000)
        --seed S        of the first one; the next have S+1, S+2 ... (default: by chance)
        --steps N       of one history (default 300)
        --wild          mixes what is not promised to go together, too: see docs/reference/guarantees.md
        --verbose       prints all that happens
      """
    }
  }

  private var histories: UInt64 = 1000
  private var steps = 300
  private var seed = UInt64.random(in: 0...9_999_999)
  private var isWild = false
  private var isVerbose = false

  init(arguments: ArraySlice<String>) throws(Usage) {
    var rest = arguments
    while let flag = rest.popFirst() {
      switch flag {
      case "--help": throw Usage()
      case "--histories": histories = try Self.number(flag, rest.popFirst())
      case "--steps": steps = Int(clamping: try Self.number(flag, rest.popFirst()))
      case "--seed": seed = try Self.number(flag, rest.popFirst())
      case "--wild": isWild = true
      case "--verbose": isVerbose = true
      default: throw Usage(reason: "\(flag) is not known")
      }
    }
  }

  private static func number(_ flag: String, _ text: String?) throws(Usage) -> UInt64 {
    guard let value = text.flatMap({ UInt64($0) }) else { throw Usage(reason: "\(flag) needs a number") }
    return value
  }

  /// Runs the histories. Returns whether every guarantee was kept.
  func run() -> Bool {
    var tally = Tally()
    var said = Date()
    for offset in 0..<histories {
      let history = History(seed: seed &+ offset, isWild: isWild, isVerbose: isVerbose)
      history.run(steps: steps)
      tally.add(history)
      if isVerbose { say(history.events) }
      if let violation = history.violations.first {
        explain(history.seed, violation)
        say(["simulate: \(tally)"])
        return false
      }
      if Date().timeIntervalSince(said) > 10 {
        say(["simulate: \(tally)"])
        said = Date()
      }
    }
    say(["simulate: kept, seeds \(seed) to \(seed &+ histories &- 1): \(tally)"])
    return true
  }

  private func explain(_ seed: UInt64, _ violation: Violation) {
    // Run the same history again, and record its events this time.
    let again = History(seed: seed, isWild: isWild, isVerbose: true)
    again.run(steps: steps)
    say(["simulate: the last events of seed \(seed):"] + again.events.suffix(40).map { "  \($0)" })
    say(["simulate: BROKEN by seed \(seed): \(violation)"])
    if again.violations.first?.description != violation.description {
      say(["simulate: and not broken again in the same way: \(again.violations)"])
    }
    say(["simulate: again: script/simulate --seed \(seed) --histories 1 --steps \(steps) --verbose"])
  }

  private func say(_ lines: [String]) {
    for line in lines { print(line) }
    fflush(nil)
  }
}

/// The totals of the histories so far.
private struct Tally: CustomStringConvertible {
  private let start = Date()
  private var (histories, steps, lookups, notices) = (0, 0, 0, 0)

  mutating func add(_ history: History) {
    histories += 1
    steps += history.stepCount
    lookups += history.lookupCount
    notices += history.noticeCount
  }

  var description: String {
    let minutes = max(Date().timeIntervalSince(start), 0.001) / 60
    return "\(histories) histories, \(steps) steps, \(lookups) lookups, \(notices) notices; "
      + "\(Int(Double(histories) / minutes)) histories a minute"
  }
}
