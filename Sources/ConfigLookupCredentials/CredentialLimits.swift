// SPDX-License-Identifier: Apache-2.0
/// The limits of this module, with their reasons.
enum CredentialLimits {
  /// The maximum number of bytes of a credential's name, which is part of every log line about it.
  static let nameBytes = 64
}
