// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Decides which HTTP requests are rejected because a page of another site may have caused a browser to send them. The
/// decision does not depend on the path.
///
/// A page of another site can make a browser send requests to addresses that only the user of the browser can reach.
/// Two rules reject such requests. First, the `Host` must be one of this server's hosts. Otherwise a page could use a
/// name that its owner points at this server's address (DNS rebinding), and would then have the same origin. Second, a
/// request is rejected if a browser marks it as one of another site (`Origin`, `Sec-Fetch-Site`), or if an HTML form
/// can send it (by its content type).
///
/// Sources: RFC 9110, sections 7.4 and 15.5.20; https://www.w3.org/TR/fetch-metadata/; the Fetch standard's
/// "CORS-safelisted request-header".
public struct HTTPRequestGuard: Sendable {
  /// The reason for which a request was rejected, for the metric and the log.
  public enum Refusal: String, Error, Sendable, CaseIterable {
    /// The `Host` field occurs more than once, or is not a valid host.
    case malformedHost = "malformed_host"
    /// `Host` names no host of this server.
    case unknownHost = "unknown_host"
    /// A page of another origin caused the request.
    case crossSite = "cross_site"
    /// The body has a content type that HTML forms can send.
    case formContentType = "form_content_type"
  }

  /// The parts of a request that the guard examines. A header field that occurs more than once has several values.
  struct Head: Sendable {
    /// Whether the method is GET or HEAD.
    var isRead = true
    /// The host and port of an absolute request target, as in `GET http://HOST/ HTTP/1.1`.
    var targetHost: String?
    var hosts: [String] = []
    var origins: [String] = []
    /// The values of `Sec-Fetch-Site`, `Sec-Fetch-Mode` and `Sec-Fetch-Dest`.
    var fetchSites: [String] = []
    var fetchModes: [String] = []
    var fetchDestinations: [String] = []
    var contentTypes: [String] = []
    var authorizations: [String] = []
    /// The local address of the connection.
    var localAddress: IPAddress?
  }

  private let allowedHosts: [AllowedHost]

  /// Creates a guard.
  ///
  /// - Parameters:
  ///   - listen: The address of the port, as configured. A name in it is a host of this server.
  ///   - allowedHosts: Further names and addresses that requests may have in `Host`.
  public init(listen: HostAndPort, allowedHosts: [AllowedHost] = []) {
    // An address in `listen` is the local address of the connection; 0.0.0.0 cannot be a destination.
    let isName = !listen.host.isEmpty && IPAddress(listen.host) == nil
    let own = isName ? [AllowedHost(host: listen.host, port: nil)] : []
    self.allowedHosts = own + [AllowedHost(host: "localhost", port: nil)] + allowedHosts
  }

  /// Decides whether a request is rejected.
  ///
  /// - Parameter head: The head of the request.
  /// - Returns: The reason; nil if the request may be answered.
  func refusal(of head: Head) -> Refusal? {
    guard head.hosts.count <= 1 else { return .malformedHost }
    var authority: Authority?
    // If the target has a host, that one counts (RFC 9112, section 3.2.2). For a browser's request both must be
    // allowed.
    for text in [head.hosts.first, head.targetHost] {
      guard let text else { continue }
      guard let named = Authority(text) else { return .malformedHost }
      guard isAllowed(named, local: head.localAddress) else { return .unknownHost }
      authority = named
    }
    if isCrossSite(head, authority) { return .crossSite }
    return !head.isRead && !head.contentTypes.allSatisfy(isBeyondForms) ? .formContentType : nil
  }

  /// Returns whether a host is allowed. This is not called for a request without a `Host` (HTTP/1.0, or a client that
  /// omits it), which does not come from a browser.
  private func isAllowed(_ authority: Authority, local: IPAddress?) -> Bool {
    if let address = authority.address {
      // An address in `Host` cannot have been rebound. Allowed are the address of the connection and loopback
      // addresses: the two differ for a port that a container engine or kubectl forwards.
      if address == local || address.isLoopback { return true }
    }
    return allowedHosts.contains { $0.matches(authority) }
  }

  private func isCrossSite(_ head: Head, _ authority: Authority?) -> Bool {
    if !head.fetchSites.allSatisfy({ $0.hasSameBytes(as: "same-origin") || $0.hasSameBytes(as: "none") }) {
      // This is a link to a page or an image that a user followed. It changes nothing, and the other site cannot read
      // the reply.
      let isNavigation =
        head.isRead && head.origins.isEmpty && head.fetchModes.count == 1 && head.fetchDestinations.count == 1
        && head.fetchModes[0].hasSameBytes(as: "navigate")
        && head.fetchDestinations[0].hasSameBytes(as: "document")
      if !isNavigation { return true }
    }
    return !head.origins.allSatisfy { isOwn($0, authority) }
  }

  /// Whether an `Origin` is the one to which the request was sent. The scheme may differ, because a proxy may have
  /// terminated TLS.
  private func isOwn(_ origin: String, _ authority: Authority?) -> Bool {
    guard let authority else { return false }
    for (scheme, port) in [("http://", UInt16(80)), ("https://", 443)] where origin.utf8.starts(with: scheme.utf8) {
      guard let named = Authority(origin.utf8.dropFirst(scheme.utf8.count)) else { return false }
      return named.hasSameHost(as: authority) && named.port ?? port == authority.port ?? port
    }
    return false
  }

  /// Whether a body of this content type cannot be sent to another site by an HTML form, or by a script without
  /// permission (CORS).
  private func isBeyondForms(_ contentType: String) -> Bool {
    let type = contentType.prefix { $0 != ";" && $0 != "," && $0 != " " && $0 != "\t" }
    return !type.utf8.isEmpty
      && !["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
        .contains { $0.hasSameBytesIgnoringASCIICase(as: type) }
  }
}

extension HTTPRequestGuard {
  /// A host that requests may name: a host name or an address, with any port or a certain one.
  public struct AllowedHost: Sendable, Hashable {
    fileprivate let host: String
    fileprivate let port: UInt16?

    fileprivate init(host: String, port: UInt16?) {
      self.host = host
      self.port = port
    }

    /// Reads `NAME`, `NAME:PORT`, `ADDRESS` or `[ADDRESS]:PORT`.
    ///
    /// - Parameter text: The value of a flag. The result is nil if it cannot occur in a `Host` header.
    public init?(_ text: some StringProtocol) {
      let bracketed = IPAddress(text) != nil && text.utf8.contains(UInt8(ascii: ":")) ? "[\(text)]" : String(text)
      guard let authority = Authority(bracketed) else { return nil }
      (host, port) = (authority.host, authority.port)
    }

    fileprivate func matches(_ authority: Authority) -> Bool {
      guard let own = Authority(host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]" : host) else { return false }
      return own.hasSameHost(as: authority) && (port == nil || port == authority.port)
    }
  }

  /// The value of `Host`: `HOST` or `HOST:PORT`.
  fileprivate struct Authority {
    /// The host without brackets, and without the dot at the end of an absolute name.
    let host: String
    let port: UInt16?
    let address: IPAddress?

    init?(_ text: some StringProtocol) { self.init(text.utf8) }

    init?(_ bytes: some Collection<UInt8>) {
      var host: [UInt8]
      var rest: [UInt8]
      if bytes.first == UInt8(ascii: "[") {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
        host = Array(bytes[bytes.index(after: bytes.startIndex)..<end])
        rest = Array(bytes[bytes.index(after: end)...])
        guard host.contains(UInt8(ascii: ":")) else { return nil }
      } else {
        host = Array(bytes.prefix { $0 != UInt8(ascii: ":") })
        rest = Array(bytes.dropFirst(host.count))
        if host.last == UInt8(ascii: ".") { host.removeLast() }
        guard !host.isEmpty, host.count <= 255, host.allSatisfy(isHostByte) else { return nil }
      }
      if rest.isEmpty {
        port = nil
      } else {
        rest.removeFirst()
        let digits = String(decoding: rest, as: UTF8.self)
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(digits) else { return nil }
        port = number
      }
      self.host = String(decoding: host, as: UTF8.self)
      address = IPAddress(self.host)
      if bytes.first == UInt8(ascii: "["), address == nil { return nil }
    }

    func hasSameHost(as other: Authority) -> Bool {
      if let address, let otherAddress = other.address { return address == otherAddress }
      return host.hasSameBytesIgnoringASCIICase(as: other.host)
    }
  }
}

private func isHostByte(_ byte: UInt8) -> Bool {
  switch byte {
  case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"): true
  default: false
  }
}
