/// What a loop counts about gRPC.
public enum GRPCCounter: Int, Sendable, CaseIterable {
  case streamsOpened
  case streamsEnded
  /// Requests of HTTP that were no gRPC.
  case notGRPC
  /// Requests that break a rule of HTTP, and were reset.
  case malformedRequests
  /// Connections ended because of what the client did wrong.
  case protocolErrors
  /// Connections ended because of a flood of frames that lead to nothing.
  case floods
  /// Connections ended because the client gave no sign of life.
  case keepaliveTimeouts
}
