// SPDX-License-Identifier: Apache-2.0
/// A violation of a rule by a document, e.g. `llm.temperature: 3.5 is above 2.0`.
public struct DocumentProblem: Error, Sendable, Hashable, CustomStringConvertible {
  /// The path of the field, e.g. `mcp_sources.0.server`; empty for the whole document.
  public let field: String
  /// The description of the problem. It contains no text of the document except numbers and short enumerated words.
  public let problem: String

  /// Creates a problem.
  ///
  /// - Parameters:
  ///   - field: the path of the field; empty for the whole document.
  ///   - problem: the description, which continues the path.
  public init(field: String, problem: String) {
    self.field = field
    self.problem = problem
  }

  /// The path and the description.
  public var description: String { field.isEmpty ? problem : "\(field): \(problem)" }
}
