/// Where a version of an agent or a prompt stands: `draft -> staged -> active -> archived`.
public enum DocumentStatus: String, Sendable, CaseIterable {
  case draft, staged, active, archived
}
