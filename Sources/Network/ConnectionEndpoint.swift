/// Serves connections, whoever accepted them, in a protocol of its own.
public protocol ConnectionEndpoint: Sendable {
  /// What is spoken on a new connection. On the thread of the connection's loop.
  func open(_ connection: Connection) -> any ConnectionProtocol

  /// Takes no new calls; each connection closes when its calls have ended. Any thread.
  func drain()

  /// Closes every connection, whatever is open on it. Any thread.
  func close()
}
