// SPDX-License-Identifier: Apache-2.0
/// The limits of this target, with their reasons.
enum RPCLimits {
  /// Maximum number of bytes of an `authorization` value that is kept for a connection. It has room for `Bearer` and a
  /// token of any usual format.
  static let authorizationBytes = 4096
}
