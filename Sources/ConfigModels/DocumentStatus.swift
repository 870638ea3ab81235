// SPDX-License-Identifier: Apache-2.0
/// The status of a version of an agent or a prompt: `draft -> staged -> active -> archived`.
public enum DocumentStatus: String, Sendable, CaseIterable {
  case draft, staged, active, archived
}
