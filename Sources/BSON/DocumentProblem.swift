/// What is wrong with a document, and where: `llm.temperature: 3.5 is above 2.0`.
public struct DocumentProblem: Error, Sendable, Hashable, CustomStringConvertible {
  /// The path of the field, e.g. `mcp_sources.0.server`; empty for the whole document.
  public let field: String
  /// What is wrong with it. Quotes no text of the document beyond numbers and short enumerated words.
  public let problem: String

  public init(field: String, problem: String) {
    self.field = field
    self.problem = problem
  }

  public var description: String { field.isEmpty ? problem : "\(field): \(problem)" }
}
