// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore

/// A call as its handler receives it. `message` is valid until the handler returns.
public struct RPCRequest {
  /// The encoded request message.
  public let message: UnsafeRawBufferPointer
  /// The metadata of the call.
  public let metadata: RPCMetadata
  /// The time at which the caller stops waiting; nil if the call has no timeout.
  public let deadline: MonotonicTime?
  /// The worker on whose thread the call runs.
  public let worker: any RPCWorker
  /// The caller's identity; nil if the server requires no credentials, so that every caller has all permissions.
  public let identity: RPCIdentity?

  /// Creates a request.
  ///
  /// - Parameters:
  ///   - message: The encoded request message, which must be valid until the handler returns.
  ///   - metadata: The metadata of the call.
  ///   - deadline: The time at which the caller stops waiting; nil if the call has no timeout.
  ///   - worker: The worker on whose thread the call runs.
  ///   - identity: The caller's identity; nil if the server requires no credentials.
  public init(
    message: UnsafeRawBufferPointer, metadata: RPCMetadata, deadline: MonotonicTime?, worker: any RPCWorker,
    identity: RPCIdentity? = nil
  ) {
    self.message = message
    self.metadata = metadata
    self.deadline = deadline
    self.worker = worker
    self.identity = identity
  }

  /// Checks that the caller has a permission.
  ///
  /// - Parameter permission: The permission.
  /// - Throws: UNAUTHENTICATED if the caller is not known; PERMISSION_DENIED if it does not have the permission.
  @inlinable
  public func require(_ permission: RPCPermission) throws(RPCStatus) {
    if let identity { try identity.require(permission) }
  }
}

/// A response message in two parts that form one message when joined, with its metadata.
///
/// `head` is created for each reply, and its storage is reused for the next. `body` is shared: it has the bytes that
/// were encoded when the document changed.
public struct RPCReply: Sendable {
  /// The first part of the message.
  public var head: [UInt8] = []
  /// The second part of the message.
  public var body: [UInt8] = []
  /// The metadata of the reply, which are sent with an error, too.
  public var metadata = RPCMetadata()

  /// Creates an empty reply.
  public init() {}

  /// Number of bytes of the whole message.
  public var count: Int { head.count + body.count }

  /// Empties the reply and keeps its storage.
  public mutating func reset() {
    head.removeAll(keepingCapacity: true)
    body = []
    if !metadata.isEmpty { metadata.removeAll() }
  }
}

/// The transport's side of a streaming call, to which the handler writes its replies. It is used on the worker's thread
/// only.
public protocol RPCStreamWriter: AnyObject {
  /// Whether the peer reads quickly enough (backpressure). After it was false, ``RPCStreamHandler/writable()`` is
  /// called when it is true again.
  ///
  /// `send` works in both cases. A handler that does not wait makes the server buffer what the peer does not read.
  var isWritable: Bool { get }

  /// Sends one response message.
  ///
  /// - Parameter reply: The message.
  func send(_ reply: borrowing RPCReply)

  /// Ends the call. Nothing may be sent after that.
  ///
  /// - Parameters:
  ///   - status: The status of the call.
  ///   - metadata: The metadata of the end.
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata)
}

/// The transport's side of a unary call that waits, to which its one reply is written. It is used on the worker's
/// thread only.
public protocol RPCReplyWriter: AnyObject {
  /// Ends the call with its reply.
  ///
  /// - Parameter reply: The reply.
  func finish(with reply: borrowing RPCReply)

  /// Ends the call without a reply.
  ///
  /// - Parameters:
  ///   - status: The status of the call.
  ///   - metadata: The metadata of the end.
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata)
}

/// The service's side of an open streaming call. It is called on the worker's thread only.
public protocol RPCStreamHandler: AnyObject {
  /// Called when the writer is writable again.
  func writable()

  /// Called when the call was ended by the other side or the transport: it was cancelled, its deadline passed, or its
  /// connection was closed. The writer must not be used any more.
  func cancelled()

  /// Called when the connection is going to close after its calls have ended. The handler should send what it has to
  /// send, and finish soon.
  func draining()
}

extension RPCStreamHandler {
  /// Does nothing, for handlers without a special end.
  public func draining() {}
}

/// The service's side of an open call whose requests are a stream, too. It is called on the worker's thread only.
public protocol RPCRequestStreamHandler: RPCStreamHandler {
  /// Called for each request message.
  ///
  /// - Parameter message: The encoded message, which is valid until the function returns.
  func received(_ message: UnsafeRawBufferPointer)

  /// Called when no more requests will be received. The call is open until the writer finishes it.
  func requestsEnded()
}

/// What a unary call waits for: the transport keeps the request, and calls the handler again.
public struct RPCWait {
  /// When the waiting ends, whatever the caller's own deadline.
  public let deadline: MonotonicTime
  /// Makes the status with which the call ends at ``deadline``.
  public let expired: () -> RPCStatus
  /// Starts to wait, on the worker's thread. Its argument is called once, on that thread, when calling the handler
  /// again may help. The timer that it returns ends the waiting early.
  public let begin: (@escaping () -> Void) -> any RPCTimer

  /// - Parameters:
  ///   - deadline: when the waiting ends, whatever the caller's own deadline.
  ///   - expired: the status with which the call ends then; evaluated only then, since most calls end before.
  ///   - begin: starts to wait; see ``begin``.
  public init(
    deadline: MonotonicTime, expired: @autoclosure @escaping () -> RPCStatus,
    begin: @escaping (@escaping () -> Void) -> any RPCTimer
  ) {
    self.deadline = deadline
    self.expired = expired
    self.begin = begin
  }
}

/// A thread with an event loop on which calls run.
public protocol RPCWorker: AnyObject, Sendable {
  /// The index of the worker, 0 ..< number of workers.
  var index: Int { get }

  /// The number of the current event-loop iteration; nil where there are no iterations. A value that was read in an
  /// iteration need not be read again in the same one. To be read on the worker's thread.
  var iteration: UInt64? { get }

  /// Notifies an observer once, at the end of the current event-loop iteration. To be called on the worker's thread.
  ///
  /// - Parameter observer: The observer.
  /// - Returns: False where there are no iterations, so that the observer is not notified.
  func observeIterationEnd(_ observer: any RPCIterationObserver) -> Bool

  /// Runs a job on the worker's thread, soon, after the jobs that were added before. May be called from any thread.
  ///
  /// - Parameter job: The job.
  func execute(_ job: @escaping @Sendable () -> Void)

  /// Runs a job on the worker's thread after a delay. To be called on that thread.
  ///
  /// - Parameters:
  ///   - delay: The delay.
  ///   - job: The job.
  /// - Returns: The timer, which can be cancelled.
  func schedule(after delay: Duration, _ job: @escaping () -> Void) -> any RPCTimer

  /// The account of the bytes that are buffered on the worker; nil if they are not limited. To be used on its thread.
  var buffers: BufferAccount? { get }

  /// The time by which ``schedule(after:_:)`` measures delays. May be read from any thread.
  var now: MonotonicTime { get }
}

extension RPCWorker {
  /// Nil: buffered bytes are not limited.
  public var buffers: BufferAccount? { nil }
  /// The time of the system's monotonic clock.
  public var now: MonotonicTime { .now }
}

extension RPCWorker {
  /// Nil: there are no iterations.
  public var iteration: UInt64? { nil }
  /// Returns false, because there are no iterations.
  ///
  /// - Parameter observer: The observer, which is not notified.
  /// - Returns: Always false.
  public func observeIterationEnd(_ observer: any RPCIterationObserver) -> Bool { false }
}

/// An object that does work once for all the calls of an event-loop iteration.
public protocol RPCIterationObserver: AnyObject {
  /// Called at the end of the iteration, after the bytes that were sent in it have been flushed. It is called on the
  /// worker's thread.
  func onIterationEnd()
}

/// A scheduled job, which is used on its worker's thread only.
public protocol RPCTimer: AnyObject {
  /// Cancels the job, unless it has run already.
  func cancel()
}
