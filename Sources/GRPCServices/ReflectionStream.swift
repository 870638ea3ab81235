// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC
internal import ProtobufMessages

/// One stream of reflection requests, which are answered in order. It is used on its worker's thread only.
///
/// A reply is many times the size of its request. Therefore a limited number of requests wait while the client does not
/// read.
final class ReflectionStream: RPCRequestStreamHandler {
  private let answer: (ReflectionRequest, inout RPCReply) -> Void
  /// The caller; nil where no credentials are configured.
  private let identity: RPCIdentity?
  /// Nil after the stream has ended.
  private var writer: (any RPCStreamWriter)?
  private var waiting: [ReflectionRequest] = [] {
    didSet { count() }
  }
  private let worker: any RPCWorker
  /// Number of bytes of the requests that wait.
  private(set) var bufferedByteCount = 0
  /// The status with which the stream ends when no request waits any more.
  private var end: RPCStatus?
  /// Whether a reply is being written, during which the writer may call this object.
  private var isSending = false

  init(
    writer: any RPCStreamWriter, worker: any RPCWorker, identity: RPCIdentity?,
    answer: @escaping (ReflectionRequest, inout RPCReply) -> Void
  ) {
    self.worker = worker
    self.writer = writer
    self.identity = identity
    self.answer = answer
  }

  func received(_ message: UnsafeRawBufferPointer) {
    guard end == nil else { return }
    // The credentials may have changed since the stream began.
    do throws(RPCStatus) { _ = try identity?.caller() } catch { return finish(error) }
    guard message.count <= GRPCServiceLimits.reflectionRequestBytes else {
      return finish(
        RPCStatus(.invalidRequest, "the request is longer than \(GRPCServiceLimits.reflectionRequestBytes) bytes")
      )
    }
    guard waiting.count < GRPCServiceLimits.waitingReflectionRequests else {
      return finish(
        RPCStatus(
          .repliesNotRead,
          "\(GRPCServiceLimits.waitingReflectionRequests) requests are waiting: read the replies first"))
    }
    do throws(ProtobufError) {
      waiting.append(try ReflectionRequest(message))
    } catch {
      return finish(RPCStatus(.invalidRequest, "the request \(error)"))
    }
    pump()
  }

  func requestsEnded() {
    end = end ?? .ok
    pump()
  }

  func draining() {
    end = end ?? RPCStatus(.draining, "the connection is draining; try again on another")
    pump()
  }

  func writable() { pump() }

  func cancelled() { close() }

  /// Answers the requests that wait, while the connection is writable.
  private func pump() {
    guard !isSending else { return }
    isSending = true
    defer { isSending = false }
    while let writer, writer.isWritable, !waiting.isEmpty {
      var reply = RPCReply()
      answer(waiting.removeFirst(), &reply)
      writer.send(reply)
    }
    if waiting.isEmpty, let end { finish(end) }
  }

  private func finish(_ status: RPCStatus) {
    let writer = writer
    close()
    writer?.finish(status, RPCMetadata())
  }

  private func close() {
    writer = nil
    waiting = []
    end = end ?? .ok
  }

  private func count() {
    let bytes = waiting.reduce(0) { $0 + $1.heldByteCount }
    guard bytes != bufferedByteCount else { return }
    worker.buffers?.change(self, from: bufferedByteCount, to: bytes)
    bufferedByteCount = bytes
  }
}

extension ReflectionStream: BufferHolder {
  func giveUpBuffers() {
    let message = "this server buffers too many bytes for slow clients"
    worker.buffers?.budget.recordRejection("Reflection stream closed: \(message)")
    finish(RPCStatus(.bufferedBytesLimit, message, retryDelay: .seconds(1)))
  }
}
