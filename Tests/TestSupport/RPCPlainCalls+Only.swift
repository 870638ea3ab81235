// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupRPC

extension RPCPlainCalls {
  /// Returns the reply to a single call of a client with all permissions.
  ///
  /// - Parameter message: the request.
  /// - Returns: the reply; nil if the fast path does not apply.
  public func only(_ message: UnsafeRawBufferPointer) -> RPCPlainReply? {
    withUnsafePointer(to: message) { prepare(for: UnsafeBufferPointer(start: $0, count: 1)) }
    return reply(at: 0, nil)
  }
}
