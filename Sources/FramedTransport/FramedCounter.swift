// SPDX-License-Identifier: Apache-2.0
/// A counter of frames or calls on one event loop.
public enum FramedCounter: Int, Sendable, CaseIterable {
  /// Number of frames received.
  case framesReceived
  /// Number of frames sent.
  case framesSent
  /// Number of streams opened. Unary calls that wait are included.
  case streamsOpened
  /// Number of streams ended. Unary calls that waited are included.
  case streamsEnded
  /// Number of connections closed with a `go_away` because the client violated the protocol.
  case protocolErrors
  /// Number of connections closed because of a flood of frames that have no effect.
  case floods
}
