internal import CXXHash

/// The test that a staged prompt runs against the active one.
public struct ABTest: Sendable, Equatable {
  public let enabled: Bool
  /// 0 to 100.
  public let trafficPercentage: Double
  public let testID: String?

  public init(enabled: Bool, trafficPercentage: Double, testID: String?) {
    self.enabled = enabled
    self.trafficPercentage = trafficPercentage
    self.testID = testID
  }

  /// Whether `subject` gets the staged prompt: ``point(subject:testID:)`` under the traffic percentage. The prompt's
  /// `id` stands in for a test without a name.
  public func servesStaged(to subject: String, promptID: String) -> Bool {
    enabled && Self.point(subject: subject, testID: name(promptID: promptID)) < trafficPercentage
  }

  /// What the test is called: its `test_id`, or the staged prompt's `id`.
  public func name(promptID: String) -> String {
    if let testID, !testID.isEmpty { return testID }
    return promptID
  }

  /// Where a subject stands in a test: a number in [0, 100).
  ///
  /// A rule for ever. Every server must send a subject the same way, those of the next release beside those of
  /// this one too; and a change would send running tests' subjects the other way. XXH3 (64 bits, seed 0) of the bytes
  /// of `testID`, a zero byte, and the bytes of `subject`; its upper 53 bits, which a double holds exactly, divided by
  /// 2^53, times 100. Tests hold vectors of it.
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
