/// What a loop counts about frames and calls.
public enum FramedCounter: Int, Sendable, CaseIterable {
  case framesReceived
  case framesSent
  case streamsOpened
  case streamsEnded
  /// Connections ended with a `go_away` that names what the client did wrong.
  case protocolErrors
  /// Connections ended because of a flood of frames that lead to nothing.
  case floods
}
