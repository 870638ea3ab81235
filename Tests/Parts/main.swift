import Foundation

// What the parts cost, one by one: script/parts. Nanoseconds of CPU, which others on the machine disturb least, and
// allocations where a library counts them; instructions are counted from outside, over so many rounds of one part.

let arguments = CommandLine.arguments.dropFirst()
func value(of flag: String) -> String? {
  arguments.firstIndex(of: flag).flatMap { $0 + 1 < CommandLine.arguments.count ? CommandLine.arguments[$0 + 1] : nil }
}

/// Which parts there are; each is made ready only when it is wanted.
let groups: [(name: String, make: () throws -> [Part])] = [
  ("document", documentParts),
  ("lookup", { try lookupParts(keys: 1000) }),
  ("change", { changeParts(keys: 1000, subscribers: [1, 100, 1000]) }),
  ("framed-1", { try framedParts(depth: 1) }),
  ("framed-32", { try framedParts(depth: 32) }),
  ("near", nearCacheParts),
]

/// What grows with the number of keys and of subscribers.
let growth: [(name: String, make: () throws -> [Part])] =
  [100, 10_000, 1_000_000].flatMap { keys in
    [
      ("lookup-\(keys)", { try lookupParts(keys: keys, descriptionBytes: 100) }),
      ("change-\(keys)", { changeParts(keys: keys, subscribers: [], descriptionBytes: 100) }),
    ]
  } + [("subscribers", { changeParts(keys: 1000, subscribers: [100, 1000, 10_000]) })]

let wanted = value(of: "--only") ?? ""
let selected = (arguments.contains("--grow") ? growth : groups).filter { wanted.isEmpty || $0.name == wanted }
if arguments.contains("--list") {
  for group in selected { for part in try group.make() { print(group.name, part.count, part.name, separator: "\t") } }
} else if let part = value(of: "--part"), let count = value(of: "--count").flatMap({ Int($0) }) {
  for group in selected { for each in try group.make() where each.name == part { try each.run(count: count) } }
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
