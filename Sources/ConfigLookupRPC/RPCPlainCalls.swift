// SPDX-License-Identifier: Apache-2.0
/// The fast path of a unary method on one worker.
///
/// It is for calls that have a message and nothing else, and that are answered with OK and no metadata; nearly all
/// lookups are such calls. It creates no request and no reply, and counts no reference.
///
/// It is used on the worker's thread only.
public protocol RPCPlainCalls: AnyObject {
  /// Receives the messages of a batch of calls, and prefetches the memory that they need for all of them at once.
  ///
  /// - Parameter messages: The encoded messages, at most ``maximumPlainCalls``. They are valid until the last call of
  ///   the batch has been answered.
  func prepare(for messages: UnsafeBufferPointer<UnsafeRawBufferPointer>)

  /// Returns the reply to one call of the batch.
  ///
  /// - Parameters:
  ///   - place: The index of the call's message in the batch.
  ///   - identity: The caller's identity; nil if the server requires no credentials.
  /// - Returns: The reply; nil if the call must be passed to the method's handler, which can answer every call.
  func reply(at place: Int, _ identity: RPCIdentity?) -> RPCPlainReply?
}

/// Maximum number of calls in a batch of the fast path.
public let maximumPlainCalls = 64

/// A response message in two byte ranges that form one message when joined. `head` is valid until the next call is
/// answered, `body` until the worker's event-loop iteration ends.
public struct RPCPlainReply {
  /// The first part of the message.
  public let head: UnsafeRawBufferPointer
  /// The second part of the message.
  public let body: UnsafeRawBufferPointer

  /// Creates a reply.
  ///
  /// - Parameters:
  ///   - head: The first part of the message.
  ///   - body: The second part of the message.
  public init(head: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer) {
    self.head = head
    self.body = body
  }
}
