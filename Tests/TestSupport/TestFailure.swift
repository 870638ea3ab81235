// SPDX-License-Identifier: Apache-2.0
/// A failure of the test support itself.
public struct TestFailure: Error, CustomStringConvertible {
  /// The description of the failure.
  public let description: String

  /// Creates a failure.
  ///
  /// - Parameter description: the description of the failure.
  public init(_ description: String) {
    self.description = description
  }
}
