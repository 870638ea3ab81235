// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// Random numbers that a seed reproduces (SplitMix64).
public struct SeededRandom: RandomNumberGenerator, Sendable {
  /// The seed for ``init(seed:)`` that reproduces the same numbers. The message of a failing test should contain it.
  public let seed: UInt64
  private var state: UInt64

  /// Creates a generator.
  ///
  /// - Parameter seed: the seed.
  public init(seed: UInt64) {
    self.seed = seed
    state = seed
  }

  /// Creates a generator with a new seed, or with that of CONFIG_LOOKUP_SEED, and prints the seed, so that a failure
  /// can be reproduced.
  ///
  /// - Parameter what: the name of the test.
  /// - Returns: the generator.
  public static func fresh(_ what: String) -> SeededRandom {
    let given = ProcessInfo.processInfo.environment["CONFIG_LOOKUP_SEED"].flatMap { UInt64($0) }
    let random = SeededRandom(seed: given ?? .random(in: 0...(.max)))
    print("\(what): CONFIG_LOOKUP_SEED=\(random.seed)")
    return random
  }

  /// Returns the next random number.
  ///
  /// - Returns: the number.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// Returns a random number in 0..<`bound`.
  ///
  /// - Parameter bound: the upper bound.
  /// - Returns: the number.
  public mutating func below(_ bound: Int) -> Int {
    .random(in: 0..<bound, using: &self)
  }

  /// Returns true with the probability 1/`times`.
  ///
  /// - Parameter times: the average number of calls for one true result.
  /// - Returns: true or false.
  public mutating func once(in times: Int) -> Bool {
    below(times) == 0
  }
}
