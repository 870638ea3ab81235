internal import Core

/// A unary call that waits for something: its request, kept, and who is asked again. On the worker's thread only.
public final class RPCWaitingCall: RPCStreamHandler {
  /// A unary method's handler.
  public typealias Handler = @Sendable (borrowing RPCRequest, inout RPCReply) throws(RPCStatus) -> RPCWait?

  private let message: [UInt8]
  private let metadata: RPCMetadata
  private let deadline: MonotonicTime?
  private let worker: any RPCWorker
  private let identity: RPCIdentity?
  private let writer: any RPCReplyWriter
  private let handle: Handler
  private var waiting: (any RPCTimer)?
  private var limit: (any RPCTimer)?
  public private(set) var bufferedByteCount = 0

  /// Copies the request.
  public init(_ request: borrowing RPCRequest, _ writer: any RPCReplyWriter, _ handle: @escaping Handler) {
    message = Array(request.message)
    metadata = request.metadata
    deadline = request.deadline
    worker = request.worker
    identity = request.identity
    self.writer = writer
    self.handle = handle
  }

  /// Asks again when it may help; ends the call when the wait has lasted long enough.
  public func wait(_ wait: RPCWait) {
    if limit == nil {
      count(message.count + metadata.byteCount + Self.ownBytes)
      limit = worker.schedule(afterSeconds: wait.deadline.seconds(since: .now)) { [weak self] in
        self?.expire(wait.expired)
      }
    }
    waiting = wait.begin { [weak self] in self?.ask() }
  }

  public func writable() {}

  public func cancelled() {
    stop()
  }

  private func ask() {
    waiting = nil
    var reply = RPCReply()
    do throws(RPCStatus) {
      if let again = try answer(&reply) {
        wait(again)
      } else {
        stop()
        writer.finish(with: reply)
      }
    } catch {
      stop()
      writer.finish(error, reply.metadata)
    }
  }

  private func answer(_ reply: inout RPCReply) throws(RPCStatus) -> RPCWait? {
    try message.withLentBytes { bytes throws(RPCStatus) in
      try handle(
        RPCRequest(message: bytes, metadata: metadata, deadline: deadline, worker: worker, identity: identity), &reply)
    }
  }

  private func expire(_ status: RPCStatus) {
    limit = nil
    // What it waited for may have come with nobody to tell: the last word is the handler's.
    var reply = RPCReply()
    do throws(RPCStatus) {
      if try answer(&reply) == nil {
        stop()
        return writer.finish(with: reply)
      }
      stop()
      writer.finish(status, reply.metadata)
    } catch {
      stop()
      writer.finish(error, reply.metadata)
    }
  }

  private func count(_ bytes: Int) {
    guard bytes != bufferedByteCount else { return }
    worker.buffers?.change(self, from: bufferedByteCount, to: bytes)
    bufferedByteCount = bytes
  }

  private func stop() {
    count(0)
    waiting?.cancel()
    limit?.cancel()
    waiting = nil
    limit = nil
  }
}

extension RPCWaitingCall: BufferHolder {
  /// About what a waiting call takes beside its request.
  private static let ownBytes = 512

  public func giveUpBuffers() {
    let message = "this server buffers too many bytes for slow clients"
    worker.buffers?.budget.reached("Waiting call ended: \(message)")
    stop()
    writer.finish(RPCStatus(.resourceExhausted, message, detail: .retry(afterSeconds: 1)), RPCMetadata())
  }
}

extension [UInt8] {
  /// `withUnsafeBytes` with a typed throw.
  fileprivate func withLentBytes<Result, Failure: Error>(
    _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let outcome: Swift.Result<Result, Failure> = withUnsafeBytes { bytes in
      do throws(Failure) {
        return .success(try body(bytes))
      } catch {
        return .failure(error)
      }
    }
    return try outcome.get()
  }
}
