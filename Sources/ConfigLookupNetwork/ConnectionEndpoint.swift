// SPDX-License-Identifier: Apache-2.0
/// Serves connections with a protocol. Connections may be accepted by any listener.
public protocol ConnectionEndpoint: Sendable {
  /// Starts the protocol on a new connection. Called on the thread of the connection's event loop.
  ///
  /// - Parameter connection: The connection.
  /// - Returns: The protocol handler of the connection.
  func open(_ connection: Connection) -> any ConnectionProtocol

  /// Rejects new calls, and closes each connection when its calls have ended. May be called from any thread.
  func drain()

  /// Closes every connection with all its open calls. May be called from any thread.
  func close()
}
