// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import Glibc

extension Connection {
  /// Sends byte ranges in order, after the bytes that were written before. Bytes are copied only if the socket does not
  /// accept them now.
  ///
  /// - Parameter runs: The byte ranges. They need to be valid during the call only.
  public func send(_ runs: OutputRuns) {
    guard state == .open, runs.count > 0 else { return }
    var taken = 0
    if unsentByteCount == 0, let result = stream.write(runs) {
      switch result {
      case .count(let count):
        loop.counters.add(UInt64(count), to: NetworkCounter.bytesSent.rawValue)
        taken = count
      case .wantsRead, .wantsWrite: break
      case .end: return close()
      case .failed(let problem): return streamFailed(problem)
      }
    }
    for place in 0..<runs.count {
      let bytes = runs[place]
      let skipped = min(taken, bytes.count)
      taken -= skipped
      guard skipped < bytes.count else { continue }
      guard let room = extendOutput(by: bytes.count - skipped) else { return }
      room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[skipped...]))
    }
  }

  /// Attempts to send what was written in the event-loop iteration, at its end. It first calls the protocol handler if
  /// that has asked for it.
  func flush() {
    if owesIterationEnd, state == .open {
      handler?.onIterationEnd()
      owesIterationEnd = false
    }
    isTouched = false
    guard state == .open || state == .finishing else { return }
    // While the socket is full, an attempt would be a useless system call: libevent reports when the socket has room.
    if !isWriteAwaited { writeOut() }
    countBuffers()
  }

  func socketWritable() {
    if readAwaitsWrite {
      readAwaitsWrite = false
      socketReadable()
    }
    guard state == .open || state == .finishing else { return }
    writeOut()
    countBuffers()
  }

  private func writeOut() {
    while let output, !output.isEmpty {
      let bytes = output.bytes
      switch stream.write(bytes) {
      case .count(let count):
        loop.counters.add(UInt64(count), to: NetworkCounter.bytesSent.rawValue)
        output.dropFirst(count)
        // If fewer bytes are accepted than requested, the socket is full.
        if count < bytes.count { return awaitWritable() }
      case .wantsWrite: return awaitWritable()
      case .wantsRead:
        writeAwaitsRead = true
        return stopAwaitingWritable()
      case .end: return close()
      case .failed(let problem): return streamFailed(problem)
      }
    }
    allWritten()
  }

  private func allWritten() {
    if let output { loop.release(output) }
    output = nil
    stopAwaitingWritable()
    wentBelowMark()
    if state == .finishing { finishWriting() }
  }

  private func stopAwaitingWritable() {
    guard isWriteAwaited else { return }
    isWriteAwaited = false
    event_del(writeEvent)
  }

  func awaitWritable() {
    wentBelowMark()
    guard !isWriteAwaited else { return }
    isWriteAwaited = true
    kernelUnsent = unsentInKernel()
    var time = timeval(limits.stalledWriteTimeout)
    // The event is persistent: the timeout starts again each time the socket accepts bytes.
    event_add(writeEvent, &time)
  }

  private func wentBelowMark() {
    guard state == .open, unsentByteCount <= limits.unsentBytesLow else { return }
    isWritable = true
    if owesWritable || isReadPaused || !input.isEmpty { resumeInNextIteration() }
  }

  /// Called when the socket has had no room for the time limit. A slow peer may have accepted bytes all the same,
  /// because the socket is reported as writable only when a large part of its buffer is free.
  func writeTimedOut() {
    let unsent = unsentInKernel()
    if unsent < kernelUnsent {
      kernelUnsent = unsent
      return
    }
    closeStalled("The peer read no bytes for \(limits.stalledWriteTimeout.seconds) s")
  }

  private func unsentInKernel() -> Int32 {
    var count: Int32 = 0
    return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? count : 0
  }
}
