// SPDX-License-Identifier: Apache-2.0
import Foundation

// script/parts: measures the cost of each part separately. It prints nanoseconds of CPU time, because other processes
// on the machine affect it least, and the number of allocations if the counting library is loaded. An external tool
// counts the instructions of a given number of rounds of one part.

let arguments = CommandLine.arguments.dropFirst()
func value(of flag: String) -> String? {
  arguments.firstIndex(of: flag).flatMap { $0 + 1 < CommandLine.arguments.count ? CommandLine.arguments[$0 + 1] : nil }
}

/// The groups of parts. A group is prepared only when it is selected.
let groups: [(name: String, make: () throws -> [Part])] = [
  ("document", documentParts),
  ("lookup", { try lookupParts(keys: 1000, PartsService(keys: 1000)) }),
  ("change", { try changeParts(keys: 1000, PartsService(keys: 1000)) }),
  ("watch", { watchParts(subscribers: [1, 100, 1000]) }),
  ("framed-1", { try framedParts(depth: 1) }),
  ("framed-32", { try framedParts(depth: 32) }),
  ("near", nearCacheParts),
]

/// The groups that show how costs grow with the number of keys and of subscribers.
let growth: [(name: String, make: () throws -> [Part])] =
  [100, 10_000, 1_000_000].map { keys in
    (
      "keys-\(keys)",
      {
        let service = try PartsService(keys: keys, descriptionBytes: 100)
        return try lookupParts(keys: keys, service) + changeParts(keys: keys, service)
      }
    )
  } + [("subscribers", { watchParts(subscribers: [100, 1000, 10_000]) })]

let wanted = value(of: "--only") ?? ""
let selected = (arguments.contains("--grow") ? growth : groups).filter { wanted.isEmpty || $0.name == wanted }
if let keys = value(of: "--stall").flatMap({ Int($0) }),
  let watches = arguments.last.flatMap({ Int($0) })
{
  try runStall(keys: keys, watches: watches)
} else if arguments.contains("--list") {
  for group in selected { for part in try group.make() { print(group.name, part.count, part.name, separator: "\t") } }
} else if let part = value(of: "--part"), let count = value(of: "--count").flatMap({ Int($0) }),
  let prepared = value(of: "--prepared").flatMap({ Int($0) })
{
  for group in selected {
    for each in try group.make() where each.name == part { try each.run(count, prepared: prepared) }
  }
} else {
  for group in selected {
    for part in try group.make() {
      let cost = try part.measure()
      let name = part.name.padding(toLength: 48, withPad: " ", startingAt: 0)
      let allocations = cost.allocations.map { String(format: "%10.2f allocations", $0) } ?? ""
      print(name, String(format: "%12.1f ns", cost.nanoseconds), allocations)
      fflush(nil)
    }
  }
}
