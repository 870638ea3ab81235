public import RPC

extension RPCPlainCalls {
  /// The reply to a call that comes by itself, from somebody who may do everything.
  public func only(_ message: UnsafeRawBufferPointer) -> RPCPlainReply? {
    withUnsafePointer(to: message) { prepare(for: UnsafeBufferPointer(start: $0, count: 1)) }
    return reply(at: 0, nil)
  }
}
