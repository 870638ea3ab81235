internal import Foundation

/// Random numbers that a seed brings back (SplitMix64).
public struct SeededRandom: RandomNumberGenerator, Sendable {
  /// What to give to ``init(seed:)`` to see the same again: put it into the message of a failing test.
  public let seed: UInt64
  private var state: UInt64

  public init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  /// A new seed, or that of CONFIG_LOOKUP_SEED; printed, so that a failure can be repeated.
  public static func fresh(_ what: String) -> SeededRandom {
    let given = ProcessInfo.processInfo.environment["CONFIG_LOOKUP_SEED"].flatMap { UInt64($0) }
    let random = SeededRandom(seed: given ?? .random(in: 0...(.max)))
    print("\(what): CONFIG_LOOKUP_SEED=\(random.seed)")
    return random
  }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// In 0..<`bound`.
  public mutating func below(_ bound: Int) -> Int {
    .random(in: 0..<bound, using: &self)
  }

  /// True once in `times`.
  public mutating func once(in times: Int) -> Bool {
    below(times) == 0
  }
}
