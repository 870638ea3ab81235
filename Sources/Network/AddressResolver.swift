internal import Core

/// Gives the addresses of a name: the system's resolver, or another one in a test.
public struct AddressResolver: Sendable {
  private let resolve: @Sendable (HostAndPort) -> Result<[SocketAddress], NetworkError>

  /// A resolver that answers with `resolve`, which may block: it runs on a thread of its own.
  public init(_ resolve: @escaping @Sendable (HostAndPort) -> Result<[SocketAddress], NetworkError>) {
    self.resolve = resolve
  }

  /// The system's: `getaddrinfo`, in the order of RFC 6724.
  public static let system = AddressResolver { name in
    do throws(NetworkError) {
      return .success(try SocketAddress.resolve(name, passive: false))
    } catch {
      return .failure(error)
    }
  }

  /// Resolves a name. Blocks the calling thread until there is an answer, or until the deadline.
  ///
  /// The system's resolver knows no deadline, and waits for a name server that does not answer for up to half a minute.
  /// So another thread asks it, which ends when it ends.
  func addresses(of name: HostAndPort, deadline: MonotonicTime) throws(NetworkError) -> [SocketAddress] {
    if let address = SocketAddress.numeric(name) { return [address] }
    let outcome = Locked<Result<[SocketAddress], NetworkError>?>(nil)
    detachThread(name: "resolve") { [resolve] in
      let result = resolve(name)
      outcome.withLock { $0 = result }
      outcome.signal()
    }
    guard let result = outcome.wait(until: deadline, { $0 }) else {
      throw NetworkError(.unknownHost, "\"\(name)\": the name lookup timed out")
    }
    return try result.get()
  }
}
