// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Resolves host names to addresses: by the system's resolver or, in a test, by another function.
public struct AddressResolver: Sendable {
  private let resolve: @Sendable (HostAndPort) -> Result<[SocketAddress], NetworkError>

  /// Creates a resolver.
  ///
  /// - Parameter resolve: The function that resolves a name. It may block, because it runs on its own thread.
  public init(_ resolve: @escaping @Sendable (HostAndPort) -> Result<[SocketAddress], NetworkError>) {
    self.resolve = resolve
  }

  /// The system's resolver: `getaddrinfo`, with the addresses in the order of RFC 6724.
  public static let system = AddressResolver { name in
    do throws(NetworkError) {
      return .success(try SocketAddress.resolve(name, passive: false))
    } catch {
      return .failure(error)
    }
  }

  /// Resolves a name. It blocks the calling thread until there is a result, or until the deadline.
  ///
  /// The system's resolver supports no deadline, and waits for a name server that does not answer for up to half a
  /// minute. Therefore it is called on another thread, which may outlive this call.
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
