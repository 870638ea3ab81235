// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupRPC
internal import Glibc

extension Connection {
  func socketReadable() {
    if writeAwaitsRead {
      writeAwaitsRead = false
      touch()
    }
    switch state {
    case .open:
      guard isWritable, !isLowPriority else {
        pauseReading()
        if isWritable { resumeInNextIteration() }
        return
      }
      readAndDeliver()
    case .finishing, .lingering: readAndDrop()
    case .closed: break
    }
  }

  /// Continues with the bytes that were left because the peer read too slowly, or because other connections had to be
  /// served.
  func resume() {
    isResuming = false
    guard state == .open else { return }
    // Input and output come first in turn. Otherwise a stream that always has more to send would keep a cancellation
    // from being read, and an endless series of calls would keep a stream waiting.
    isInputFirst.toggle()
    if isInputFirst {
      continueInput()
      tellWritable()
    } else {
      tellWritable()
      continueInput()
    }
  }

  private func tellWritable() {
    guard state == .open, owesWritable, isWritable else { return }
    owesWritable = false
    handler?.writable()
  }

  private func continueInput() {
    guard state == .open, isWritable else { return }
    if !input.isEmpty {
      let used = deliver(input.bytes)
      guard state == .open else { return }
      input.dropFirst(used)
      afterDelivery()
      guard !takeLeftInput() else { return }
    }
    guard state == .open, isWritable, isReadPaused || stream.hasBufferedInput else { return }
    readAndDeliver()
    guard state == .open, isWritable, isReadPaused, !isResuming else { return }
    isReadPaused = false
    event_add(readEvent, nil)
  }

  func resumeInNextIteration() {
    guard !isResuming else { return }
    isResuming = true
    loop.resumeInNextIteration(self)
  }

  private func pauseReading() {
    guard !isReadPaused else { return }
    isReadPaused = true
    event_del(readEvent)
  }

  /// Reads once. If the read fills the buffer, the connection continues through the loop's queue, with low priority.
  private func readAndDeliver() {
    let isFull = input.count <= ConnectionLimits.smallInputBytes ? readIntoLoopMemory() : readIntoInput()
    guard state == .open else { return }
    afterDelivery()
    guard state == .open, !takeLeftInput() else { return }
    isLowPriority = isFull || isLowPriority && (isUnheard || stream.isHandshaking)
    guard isWritable, !isFull else {
      pauseReading()
      if isWritable { resumeInNextIteration() }
      return
    }
    if stream.hasBufferedInput { resumeInNextIteration() }
  }

  /// Queues the connection, with low priority, if the protocol has left input.
  private func takeLeftInput() -> Bool {
    guard hasLeftInput else { return false }
    hasLeftInput = false
    guard state == .open, !input.isEmpty else { return false }
    isLowPriority = true
    pauseReading()
    // Otherwise it continues when the peer has taken what waits for it.
    if isWritable { resumeInNextIteration() }
    return true
  }

  /// Reads into the memory that the loop's connections share, as is usual: complete requests are processed there, and
  /// nothing is kept. Returns whether there may be more to read.
  private func readIntoLoopMemory() -> Bool {
    let memory = loop.readMemory
    let kept = input.count
    memory.copyMemory(from: input.bytes)
    let most = isLowPriority ? ConnectionLimits.lowPriorityReadBytes : ConnectionLimits.readBytes
    let space = UnsafeMutableRawBufferPointer(rebasing: memory[kept..<(kept + most)])
    guard let count = read(into: space) else { return false }
    let used = deliver(UnsafeRawBufferPointer(rebasing: memory[..<(kept + count)]))
    if state == .open { input.replace(with: UnsafeRawBufferPointer(rebasing: memory[used..<(kept + count)])) }
    return count == space.count
  }

  /// Reads the rest of a long request into the connection's own buffer, after its beginning. Returns whether there may
  /// be more to read.
  private func readIntoInput() -> Bool {
    let space = input.free(atLeast: ConnectionLimits.smallInputBytes)
    guard let count = read(into: space) else { return false }
    input.commit(count)
    let used = deliver(input.bytes)
    if state == .open { input.dropFirst(used) }
    return count == space.count
  }

  private func read(into space: UnsafeMutableRawBufferPointer) -> Int? {
    let result = stream.read(into: space)
    noteHandshake()
    switch result {
    case .count(let count):
      loop.counters.add(UInt64(count), to: NetworkCounter.bytesReceived.rawValue)
      return count
    case .wantsRead: break
    case .wantsWrite:
      readAwaitsWrite = true
      awaitWritable()
    case .end: inputHasEnded()
    case .failed(let problem): streamFailed(problem)
    }
    return nil
  }

  private func inputHasEnded() {
    hasInputEnded = true
    event_del(readEvent)
    handler?.inputEnded()
    // The peer may still read what is in transit, but there is nothing more to send to it.
    finish()
  }

  /// Passes bytes to the protocol handler, and the rest to the handler that replaces it.
  private func deliver(_ bytes: UnsafeRawBufferPointer) -> Int {
    if isUnheard, bytes.count >= 2 {
      isUnheard = false
      if port.tls == nil, bytes[0] == 0x16, bytes[1] == 0x03 { noteTLS() }
    }
    var used = 0
    while used < bytes.count, state == .open, let current = handler {
      used += current.received(UnsafeRawBufferPointer(rebasing: bytes[used...]))
      if handler === current { break }
    }
    if used > 0 { inputProgress &+= 1 }
    return used
  }

  /// Counts and logs the first record of a TLS handshake on a port without TLS. All protocols here reject it, because
  /// none begins with these bytes.
  private func noteTLS() {
    loop.counters.add(to: NetworkCounter.tlsToPlainPort.rawValue)
    port.peers.unwanted(peer: peer)
  }

  private func afterDelivery() {
    if input.isEmpty { input.release() }
    // Usually there is nothing to count, and the reply is about to be sent.
    if !input.isEmpty || protocolByteCount > 0 || bufferedByteCount > ownByteCount { countBuffers() }
    guard !input.isEmpty else { return }
    // There is one timer at a time, and progress is checked when it fires: frames that arrive in pieces are common,
    // stalled ones are not.
    guard inputTimer == nil else { return }
    let progress = inputProgress
    inputTimer = loop.schedule(after: limits.incompleteInputTimeout) { [weak self] in
      self?.checkInput(since: progress)
    }
  }

  private func checkInput(since progress: UInt64) {
    inputTimer = nil
    guard state == .open, !input.isEmpty else { return }
    if progress == inputProgress, !isReadPaused { handler?.inputStalled() } else { afterDelivery() }
  }

  /// Reads and discards input after the sending side has been closed, so that the connection is not reset, and so that
  /// the end of the peer's side is detected.
  private func readAndDrop() {
    for _ in 0..<ConnectionLimits.dropsPerIteration {
      let result = stream.read(into: loop.readMemory)
      noteHandshake()
      switch result {
      case .count(let count):
        loop.counters.add(UInt64(count), to: NetworkCounter.bytesReceived.rawValue)
        if count < loop.readMemory.count, !stream.hasBufferedInput { return }
      case .wantsRead, .wantsWrite: return
      case .end:
        hasInputEnded = true
        event_del(readEvent)
        if state == .lingering { close() }
        return
      case .failed(let problem): return streamFailed(problem)
      }
    }
  }
}
