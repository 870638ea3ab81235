// SPDX-License-Identifier: Apache-2.0
/// A protocol handler of a connection. It is called on the event loop's thread only, and never from within a call to
/// ``Connection``.
public protocol ConnectionProtocol: AnyObject {
  /// Processes received bytes. The rest that it does not use is passed again with more bytes after it.
  ///
  /// The handler must stop when ``Connection/isWritable`` becomes false; it is called again with the rest when the
  /// connection is writable again.
  ///
  /// - Parameter bytes: The bytes, which are valid during the call only.
  /// - Returns: The number of bytes that were used.
  func received(_ bytes: UnsafeRawBufferPointer) -> Int

  /// Called when the connection is writable again, after ``Connection/isWritable`` was false.
  func writable()

  /// Called at the end of an event-loop iteration, after ``Connection/requestIterationEnd()``. What the handler writes
  /// now is sent with the other bytes of the iteration. There may be one call more than was requested.
  func onIterationEnd()

  /// Called when the bytes of something incomplete have waited for the rest longer than the time limit.
  func inputStalled()

  /// Called when the peer has closed its sending side. The peer may still read.
  func inputEnded()

  /// Called when the connection has been closed, for any reason. This is the last call.
  func closed()
}

extension ConnectionProtocol {
  /// Does nothing, for handlers that do not call ``Connection/requestIterationEnd()``.
  public func onIterationEnd() {}
}
