// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// A unary call that waits: it keeps the request, and calls the handler again when that may help. Only the worker's
/// thread may use it.
public final class RPCWaitingCall: RPCStreamHandler {
  /// The handler of a unary method.
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
  /// Number of bytes that the waiting call is charged.
  public private(set) var bufferedByteCount = 0

  /// Copies the request.
  ///
  /// - Parameters:
  ///   - request: the request of the call.
  ///   - writer: receives the reply.
  ///   - handle: the handler, which is called again with the copy.
  public init(_ request: borrowing RPCRequest, _ writer: any RPCReplyWriter, _ handle: @escaping Handler) {
    message = Array(request.message)
    metadata = request.metadata
    deadline = request.deadline
    worker = request.worker
    identity = request.identity
    self.writer = writer
    self.handle = handle
  }

  /// Starts to wait. The handler is called again when that may help, and the call ends at the deadline.
  ///
  /// - Parameter wait: what the handler waits for.
  public func wait(_ wait: RPCWait) {
    if limit == nil {
      count(message.count + metadata.byteCount + Self.ownBytes)
      limit = worker.schedule(after: wait.deadline.duration(since: .now)) { [weak self] in
        self?.expire(wait.expired())
      }
    }
    waiting = wait.begin { [weak self] in self?.ask() }
  }

  /// Does nothing: there is one reply, and it is sent whole.
  public func writable() {}

  /// Ends the waiting.
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
    // What it waits for may have happened in the same moment: the handler decides.
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
  /// The approximate number of bytes that a waiting call takes in addition to its request.
  private static let ownBytes = 512

  /// Ends the call with RESOURCE_EXHAUSTED: too many bytes are buffered for all clients.
  public func giveUpBuffers() {
    let message = "this server buffers too many bytes for slow clients"
    worker.buffers?.budget.recordRejection("Waiting call ended: \(message)")
    stop()
    writer.finish(RPCStatus(.bufferedBytesLimit, message, retryDelay: .seconds(1)), RPCMetadata())
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
