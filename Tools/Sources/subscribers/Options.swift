// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// The options of the command line.
struct Options: Sendable {
  var subscribers = 1000
  var changes = 10_000
  var slow = 100
  var valueBytes = 1000
  var wantsHelp = false

  static let flags = FlagParser<Options>(flags: [
    // Three times this number of connections are open at once for a while, and the server accepts 10,000.
    count("subscribers", "Who read what they are told, each on a connection of its own.", "1000", 1...3300) {
      $0.subscribers = $1
    },
    count("changes", "How many changes follow the creation of the keys.", "10000", 1...1_000_000) { $0.changes = $1 },
    // At least 50, so that the memory per subscriber is larger than the noise.
    count("slow", "Who fill their queues, to see what one of them costs.", "100", 50...1000) { $0.slow = $1 },
    count("value-bytes", "The size of the field that changes.", "1000", 16...10_000) { $0.valueBytes = $1 },
    Flag("help", "Print this, and end.", hasVariable: false, .toggle { $1.wantsHelp = $0 }),
  ])

  private static func count(
    _ name: String, _ help: String, _ defaultText: String, _ range: ClosedRange<Int>,
    _ set: @escaping @Sendable (inout Options, Int) -> Void
  ) -> Flag<Options> {
    Flag(
      name, help, default: defaultText, hasVariable: false,
      .value(placeholder: "N") { text, options in
        guard let number = Int(text), range.contains(number) else {
          return "\(text) is not from \(range.lowerBound) to \(range.upperBound)"
        }
        set(&options, number)
        return nil
      })
  }
}
