/// The short way of a unary method on one worker, for calls that bring a message and nothing else, and that are
/// answered with OK and no metadata: nearly all calls of a lookup. No request and no reply is made, and no reference is
/// counted.
///
/// On the worker's thread only.
public protocol RPCPlainCalls: AnyObject {
  /// Takes the messages of calls that came together, at most ``maximumPlainCalls``: what they need from far memory is
  /// brought near for all of them at once. Lent until the last of them is answered.
  func prepare(for messages: UnsafeBufferPointer<UnsafeRawBufferPointer>)

  /// The reply to one of those, or nil: then the method's handler is to be asked, which has an answer to everything.
  ///
  /// - Parameter identity: the caller's; nil where everybody may do everything.
  func reply(at place: Int, _ identity: RPCIdentity?) -> RPCPlainReply?
}

/// So many plain calls are answered at once.
public let maximumPlainCalls = 64

/// A response message in two runs of bytes, that make one message when joined. Lent: `head` until the next call is
/// answered, `body` until the worker's turn ends.
public struct RPCPlainReply {
  public let head: UnsafeRawBufferPointer
  public let body: UnsafeRawBufferPointer

  public init(head: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer) {
    self.head = head
    self.body = body
  }
}
