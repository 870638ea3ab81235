// SPDX-License-Identifier: Apache-2.0
// CLibevent is imported, too, because its headers own a part of the declarations for sockets.
internal import CLibevent
internal import ConfigLookupCore
internal import Glibc

/// An address in the form `HOST:PORT` of flags. The host is a name, an IPv4 address, or an IPv6 address in brackets.
public struct HostAndPort: Sendable, Hashable, CustomStringConvertible {
  /// The name or address, without brackets.
  public let host: String
  /// The port.
  public let port: UInt16

  /// Creates an address.
  ///
  /// - Parameters:
  ///   - host: The name or address, without brackets.
  ///   - port: The port.
  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads `HOST:PORT` by the rules of ``WrittenText``.
  ///
  /// - Parameter text: The text. An empty host stands for every address of the machine.
  /// - Throws: A ``NetworkError`` with the code `malformedAddress` and the problem of the text.
  public init(_ text: String) throws(NetworkError) {
    func malformed(_ problem: String) -> NetworkError {
      NetworkError(.malformedAddress, "\"\(text)\": \(problem); write HOST:PORT, e.g. 127.0.0.1:50061 or [::1]:50061")
    }
    let written: String
    do throws(WrittenTextProblem) {
      written = try WrittenText.value(text)
    } catch {
      throw malformed("\(error)")
    }
    let text = written
    guard let colon = text.lastIndex(of: ":") else { throw malformed("the port is missing") }
    var host = text[..<colon]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { throw malformed("\"[\" without \"]\"") }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      throw malformed("an IPv6 address needs brackets")
    }
    let digits = text[text.index(after: colon)...]
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(digits) else {
      throw malformed("the port is not a number from 0 to 65535")
    }
    guard !host.contains(where: \.isWhitespace) else { throw malformed("the host contains a space") }
    self.init(host: String(host), port: port)
  }

  /// The address in the form `HOST:PORT`.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// A numeric address of a socket.
public struct SocketAddress: Sendable, CustomStringConvertible {
  private var storage = sockaddr_storage()
  private var length: socklen_t = 0

  init(copying address: UnsafePointer<sockaddr>, length: socklen_t) {
    let count = min(Int(length), MemoryLayout<sockaddr_storage>.size)
    withUnsafeMutableBytes(of: &storage) { $0.copyMemory(from: UnsafeRawBufferPointer(start: address, count: count)) }
    self.length = socklen_t(count)
  }

  /// The address, if the host is a numeric address. No resolver is called.
  static func numeric(_ name: HostAndPort) -> SocketAddress? {
    guard !name.host.isEmpty, let list = try? resolve(name, flags: AI_NUMERICHOST) else { return nil }
    return list.first
  }

  /// Resolves a name. It blocks while a name server is queried.
  ///
  /// - Parameters:
  ///   - name: The name and port.
  ///   - passive: Whether the addresses are for listening, so that an empty host stands for every address.
  /// - Returns: The addresses, in the resolver's order.
  /// - Throws: If the name has no address.
  public static func resolve(_ name: HostAndPort, passive: Bool) throws(NetworkError) -> [SocketAddress] {
    try resolve(name, flags: passive ? AI_PASSIVE : 0)
  }

  private static func resolve(_ name: HostAndPort, flags: Int32) throws(NetworkError) -> [SocketAddress] {
    var hints = addrinfo()
    hints.ai_family = AF_UNSPEC
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_NUMERICSERV | flags
    var list: UnsafeMutablePointer<addrinfo>?
    let code = getaddrinfo(name.host.isEmpty ? nil : name.host, "\(name.port)", &hints, &list)
    guard code == 0 else {
      throw NetworkError(
        .unknownHost, "\"\(name)\": \(String(cString: gai_strerror(code))); give a name or an address of this machine")
    }
    defer { freeaddrinfo(list) }
    var result: [SocketAddress] = []
    var next = list
    while let item = next?.pointee {
      if let address = item.ai_addr { result.append(SocketAddress(copying: address, length: item.ai_addrlen)) }
      next = item.ai_next
    }
    return result
  }

  /// The local address of a socket.
  static func local(of descriptor: Int32) -> SocketAddress? {
    named(descriptor) { getsockname($0, $1, $2) }
  }

  /// The peer's address of a socket.
  static func peer(of descriptor: Int32) -> SocketAddress? {
    named(descriptor) { getpeername($0, $1, $2) }
  }

  private static func named(
    _ descriptor: Int32, _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> SocketAddress? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        ask(descriptor, $0, &length) == 0 ? SocketAddress(copying: $0, length: length) : nil
      }
    }
  }

  /// Passes the address to `body`, for system calls.
  func withSockaddr<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withUnsafePointer(to: storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
    }
  }

  /// The address family: `AF_INET` or `AF_INET6`.
  var family: Int32 { Int32(storage.ss_family) }

  /// The numeric address and the port.
  public var hostAndPort: HostAndPort {
    var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    var service = [CChar](repeating: 0, count: 32)
    let code = withSockaddr {
      getnameinfo($0, $1, &host, socklen_t(host.count), &service, 32, NI_NUMERICHOST | NI_NUMERICSERV)
    }
    guard code == 0 else { return HostAndPort(host: "unknown", port: 0) }
    return HostAndPort(host: text(host), port: UInt16(text(service)) ?? 0)
  }

  /// The port.
  public var port: UInt16 { hostAndPort.port }

  /// The address in the form `HOST:PORT`.
  public var description: String { hostAndPort.description }
}

private func text(_ characters: [CChar]) -> String {
  String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Returns the system's description of an error number.
///
/// - Parameter code: The error number (`errno`).
/// - Returns: The description.
public func systemMessage(_ code: Int32) -> String {
  var buffer = [CChar](repeating: 0, count: 128)
  return strerror_r(code, &buffer, buffer.count) == 0 ? text(buffer) : "error \(code)"
}
