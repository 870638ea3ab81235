// SPDX-License-Identifier: Apache-2.0
internal import CXXHash

/// The A/B test of a staged prompt against the active one: the document field `ab_test`.
public struct ABTest: Sendable, Equatable {
  /// Whether the test is in progress.
  public let enabled: Bool
  /// The percentage of subjects that get the staged prompt, 0 to 100.
  public let trafficPercentage: Double
  /// The name of the test; nil if it has none.
  public let testID: String?

  /// Creates a test.
  ///
  /// - Parameters:
  ///   - enabled: whether the test is in progress.
  ///   - trafficPercentage: the percentage of subjects that get the staged prompt, 0 to 100.
  ///   - testID: the name of the test; nil if it has none.
  public init(enabled: Bool, trafficPercentage: Double, testID: String?) {
    self.enabled = enabled
    self.trafficPercentage = trafficPercentage
    self.testID = testID
  }

  /// Returns whether a subject gets the staged prompt: whether its ``point(subject:testID:)`` is below the traffic
  /// percentage.
  ///
  /// - Parameters:
  ///   - subject: the subject, e.g. the id of a session.
  ///   - promptID: the staged prompt's `id`, which replaces the name of a test without one.
  /// - Returns: true if the subject gets the staged prompt.
  public func servesStaged(to subject: String, promptID: String) -> Bool {
    enabled && Self.point(subject: subject, testID: name(promptID: promptID)) < trafficPercentage
  }

  /// Returns the name of the test.
  ///
  /// - Parameter promptID: the staged prompt's `id`.
  /// - Returns: the `test_id`, or `promptID` if there is none.
  public func name(promptID: String) -> String {
    if let testID, !testID.isEmpty { return testID }
    return promptID
  }

  /// Returns the position of a subject in a test.
  ///
  /// This function must never change. All servers, also those of different releases, must assign a subject to the same
  /// variant, and a change would reassign the subjects of tests in progress. It is XXH3 (64 bits, seed 0) of the bytes
  /// of `testID`, a zero byte, and the bytes of `subject`; the upper 53 bits of the hash, which a double represents
  /// exactly, divided by 2^53, times 100. Unit tests contain test vectors.
  ///
  /// - Parameters:
  ///   - subject: the subject.
  ///   - testID: the name of the test.
  /// - Returns: a number in [0, 100).
  public static func point(subject: String, testID: String) -> Double {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(testID.utf8.count + 1 + subject.utf8.count)
    bytes.append(contentsOf: testID.utf8)
    bytes.append(0)
    bytes.append(contentsOf: subject.utf8)
    let hash = bytes.withUnsafeBytes { XXH3_64bits($0.baseAddress, $0.count) }
    return Double(hash >> 11) / 9_007_199_254_740_992 * 100
  }
}
