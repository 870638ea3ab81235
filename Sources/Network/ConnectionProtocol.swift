/// What is spoken on a connection. Called on the loop's thread only, never from within a call to ``Connection``.
public protocol ConnectionProtocol: AnyObject {
  /// Handles what it can of `bytes` and says how many those were; the rest comes again with more behind it.
  ///
  /// Must stop when ``Connection/isWritable`` turns false: it is called again with the rest once that has changed.
  /// The bytes end with the call.
  func received(_ bytes: UnsafeRawBufferPointer) -> Int

  /// The peer takes more again, after ``Connection/isWritable`` was false.
  func writable()

  /// The turn ends, after ``Connection/askAtTurnEnd()``: what is written now is sent with the rest of it. May be called
  /// once more than was asked for.
  func turnEnds()

  /// Bytes of something incomplete have waited for their rest longer than allowed.
  func inputStalled()

  /// The peer sends no more. It may still read.
  func inputEnded()

  /// The connection is gone, for whatever reason. The last call.
  func closed()
}

extension ConnectionProtocol {
  public func turnEnds() {}
}
