// SPDX-License-Identifier: Apache-2.0
/// A counter of gRPC requests or connections on one event loop.
public enum GRPCCounter: Int, Sendable, CaseIterable {
  /// Number of streams opened. Unary calls that wait are included.
  case streamsOpened
  /// Number of streams ended. Unary calls that waited are included.
  case streamsEnded
  /// Number of HTTP requests that were not gRPC.
  case notGRPC
  /// Number of requests that violated a rule of HTTP, and were reset.
  case malformedRequests
  /// Number of connections closed because of a protocol error of the client.
  case protocolErrors
  /// Number of connections closed because of a flood of frames that have no effect.
  case floods
  /// Number of connections closed because the client did not answer a keepalive PING.
  case keepaliveTimeouts
}
