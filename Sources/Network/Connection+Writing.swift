internal import CLibevent
internal import Glibc
internal import RPC

extension Connection {
  /// Sends runs of bytes, one behind the other, behind what was written before. They are only copied as far as the
  /// socket does not take them now.
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

  /// The turn ends: one attempt to send what was written in it. Calls a protocol that has asked for it, and no other.
  func flush() {
    if owesTurnEnd, state == .open {
      handler?.turnEnds()
      owesTurnEnd = false
    }
    isTouched = false
    guard state == .open || state == .finishing else { return }
    // While the socket is full, trying costs a call of the system for nothing: it will say when it has room.
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
        // Less than asked for: the socket is full.
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
    if let output { loop.giveBack(output) }
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
    var time = timeval(seconds: limits.stalledWriteSeconds)
    // Persistent: the time begins again each time the socket takes something.
    event_add(writeEvent, &time)
  }

  private func wentBelowMark() {
    guard state == .open, unsentByteCount <= limits.unsentBytesLow else { return }
    isWritable = true
    if owesWritable || isReadPaused || !input.isEmpty { resumeInNextTurn() }
  }

  /// The socket has had no room for a while. A slow peer may have taken bytes all the same: the socket only says so
  /// once a good part of its buffer is free.
  func writeTimedOut() {
    let unsent = unsentInKernel()
    if unsent < kernelUnsent {
      kernelUnsent = unsent
      return
    }
    closeStalled("The peer read no bytes for \(limits.stalledWriteSeconds) s")
  }

  private func unsentInKernel() -> Int32 {
    var count: Int32 = 0
    return ioctl(descriptor, UInt(TIOCOUTQ), &count) == 0 ? count : 0
  }
}
