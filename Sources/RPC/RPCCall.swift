public import Core

/// A call as its handler sees it. Lent: `message` ends with the handler.
public struct RPCRequest {
  /// The request message, encoded.
  public let message: UnsafeRawBufferPointer
  public let metadata: RPCMetadata
  /// When the caller stops waiting.
  public let deadline: MonotonicTime?
  /// The thread that the call lives on.
  public let worker: any RPCWorker
  /// Nil where there are no credentials: everybody may do everything.
  public let identity: RPCIdentity?

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

  /// Throws unless the caller may do this.
  @inlinable
  public func require(_ right: RPCRight) throws(RPCStatus) {
    if let identity { try identity.require(right) }
  }
}

/// A response message in two runs of bytes, that make one message when joined, and the metadata beside it.
///
/// `head` is made for the one reply; its storage is used again for the next. `body` is shared: the bytes that were
/// encoded when the document changed.
public struct RPCReply: Sendable {
  public var head: [UInt8] = []
  public var body: [UInt8] = []
  /// Sent with an error too.
  public var metadata = RPCMetadata()

  public init() {}

  /// The length of the whole message.
  public var count: Int { head.count + body.count }

  /// Empties the reply and keeps the storage.
  public mutating func reset() {
    head.removeAll(keepingCapacity: true)
    body = []
    if !metadata.isEmpty { metadata.removeAll() }
  }
}

/// Where a streaming call writes its replies: a transport's side of it. On the worker's thread only.
public protocol RPCStreamWriter: AnyObject {
  /// Whether the peer takes more now. Once false, ``RPCStreamHandler/writable()`` is called when it is true again.
  ///
  /// `send` works either way; a handler that goes on regardless makes the server hold what the peer does not read.
  var isWritable: Bool { get }

  /// Sends one response message.
  func send(_ reply: borrowing RPCReply)

  /// Ends the call. Nothing may be sent after it.
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata)
}

/// Where a unary call that had to wait writes its one reply: a transport's side of it. On the worker's thread only.
public protocol RPCReplyWriter: AnyObject {
  /// Ends the call with its reply.
  func finish(with reply: borrowing RPCReply)

  /// Ends the call without one.
  func finish(_ status: RPCStatus, _ metadata: RPCMetadata)
}

/// A streaming call under way: a service's side of it. Called on the worker's thread only.
public protocol RPCStreamHandler: AnyObject {
  /// The peer takes more again.
  func writable()

  /// The call is over from the other side (cancelled, deadline passed, connection gone). The writer is not to be used
  /// again.
  func cancelled()

  /// The connection will close when its calls have ended: say what there is to say, and finish soon.
  func draining()
}

extension RPCStreamHandler {
  public func draining() {}
}

/// A call under way whose requests are a stream too. Called on the worker's thread only.
public protocol RPCRequestStreamHandler: RPCStreamHandler {
  /// A request message has come. Lent: it ends with the call.
  func received(_ message: UnsafeRawBufferPointer)

  /// No more requests will come. The call is open until the writer finishes it.
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
  ///   - expired: the status with which the call ends then; evaluated only then, since most calls do not wait so long.
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

/// A thread with an event loop, that calls live on.
public protocol RPCWorker: AnyObject, Sendable {
  /// 0 ..< number of workers.
  var index: Int { get }

  /// The turn of the loop that is under way: what has been read in a turn need not be read again in the same one. Nil
  /// where there are none. On the worker's thread.
  var turn: UInt64? { get }

  /// Has `observer` told, once, when the turn under way ends. False where there are no turns. On the worker's thread.
  func tellAtTurnEnd(_ observer: any RPCTurnObserver) -> Bool

  /// Runs `job` on the worker's thread, soon, after what was given before. From any thread.
  func execute(_ job: @escaping @Sendable () -> Void)

  /// Runs `job` on the worker's thread after `seconds`. To be called on that thread.
  func schedule(afterSeconds seconds: Double, _ job: @escaping () -> Void) -> any RPCTimer

  /// Where what waits on the worker is counted; nil where it is not bounded. To be used on its thread.
  var buffers: BufferAccount? { get }

  /// The time by which ``schedule(afterSeconds:_:)`` counts. Any thread.
  var now: MonotonicTime { get }
}

extension RPCWorker {
  public var buffers: BufferAccount? { nil }
  public var now: MonotonicTime { .now }
}

extension RPCWorker {
  public var turn: UInt64? { nil }
  public func tellAtTurnEnd(_ observer: any RPCTurnObserver) -> Bool { false }
}

/// Somebody that does in each turn of a worker what is the same for all the calls of the turn.
public protocol RPCTurnObserver: AnyObject {
  /// The turn has ended, and what was sent in it is on its way. On the worker's thread.
  func turnEnded()
}

/// A job that waits for its time. To be used on its worker's thread.
public protocol RPCTimer: AnyObject {
  func cancel()
}
