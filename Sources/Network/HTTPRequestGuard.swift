internal import Core

/// Decides which HTTP requests are refused because of where a browser sends them from, before any path is looked at.
///
/// A page of another site can have a browser send requests to addresses that only the browser's user reaches. Two rules
/// keep such pages out. The `Host` must be one of this server's, or else a name that its owner points at this server's
/// address (DNS rebinding) would make the page one of the same origin. And a request that a browser marks as another
/// site's (`Origin`, `Sec-Fetch-Site`), or that an HTML form can send (its content types), is refused.
///
/// Sources: RFC 9110, section 7.4 and 15.5.20; https://www.w3.org/TR/fetch-metadata/; the Fetch standard's
/// "CORS-safelisted request-header".
public struct HTTPRequestGuard: Sendable {
  /// Why a request was refused, for the metric and the log.
  public enum Refusal: String, Error, Sendable, CaseIterable {
    /// `Host` is missing where it must be there, is there twice, or is no host.
    case malformedHost = "malformed_host"
    /// `Host` names no host of this server.
    case unknownHost = "unknown_host"
    /// A page of another origin asked for it.
    case crossSite = "cross_site"
    /// The body has a content type that HTML forms can send.
    case formContentType = "form_content_type"
  }

  /// What of a request is looked at. Header fields are given as often as they are there.
  struct Head: Sendable {
    /// GET or HEAD.
    var isRead = true
    /// The host and port of an absolute request target: `GET http://HOST/ HTTP/1.1`.
    var targetHost: String?
    var hosts: [String] = []
    var origins: [String] = []
    /// `Sec-Fetch-Site`, `Sec-Fetch-Mode`, `Sec-Fetch-Dest`.
    var fetchSites: [String] = []
    var fetchModes: [String] = []
    var fetchDestinations: [String] = []
    var contentTypes: [String] = []
    var authorizations: [String] = []
    /// Where the connection was accepted.
    var localAddress: IPAddress?
  }

  private let allowedHosts: [AllowedHost]

  /// Makes a guard.
  ///
  /// - Parameters:
  ///   - listen: Where the port listens, as it was given: a name in it is a host of this server.
  ///   - allowedHosts: The other names and addresses that requests may have in `Host`.
  public init(listen: HostAndPort, allowedHosts: [AllowedHost] = []) {
    // An address that is listened on is that of the connection; 0.0.0.0 is no destination.
    let isName = !listen.host.isEmpty && IPAddress(listen.host) == nil
    let own = isName ? [AllowedHost(host: listen.host, port: nil)] : []
    self.allowedHosts = own + [AllowedHost(host: "localhost", port: nil)] + allowedHosts
  }

  /// Whether a request is refused, and why.
  ///
  /// - Parameter head: What the request says of itself.
  /// - Returns: The reason; nil: the request may be answered.
  func refusal(of head: Head) -> Refusal? {
    guard head.hosts.count <= 1 else { return .malformedHost }
    var authority: Authority?
    // Where the target has a host, it is the one that counts (RFC 9112, section 3.2.2); a browser's must both be good.
    for text in [head.hosts.first, head.targetHost] {
      guard let text else { continue }
      guard let named = Authority(text) else { return .malformedHost }
      guard isAllowed(named, local: head.localAddress) else { return .unknownHost }
      authority = named
    }
    if isCrossSite(head, authority) { return .crossSite }
    return !head.isRead && !head.contentTypes.allSatisfy(isBeyondForms) ? .formContentType : nil
  }

  /// A request without a `Host` (HTTP/1.0, or a client that leaves it out) is no browser's.
  private func isAllowed(_ authority: Authority, local: IPAddress?) -> Bool {
    if let address = authority.address {
      // An address in `Host` cannot have been rebound. The one that was connected to, and loopback: behind a port that
      // a container engine or kubectl forwards, the two differ.
      if address == local || address.isLoopback { return true }
    }
    return allowedHosts.contains { $0.matches(authority) }
  }

  private func isCrossSite(_ head: Head, _ authority: Authority?) -> Bool {
    if !head.fetchSites.allSatisfy({ $0.hasSameBytes(as: "same-origin") || $0.hasSameBytes(as: "none") }) {
      // A link to a page or a figure, followed by a person: it changes nothing, and the other site cannot read it.
      let isNavigation =
        head.isRead && head.origins.isEmpty && head.fetchModes.count == 1 && head.fetchDestinations.count == 1
        && head.fetchModes[0].hasSameBytes(as: "navigate")
        && head.fetchDestinations[0].hasSameBytes(as: "document")
      if !isNavigation { return true }
    }
    return !head.origins.allSatisfy { isOwn($0, authority) }
  }

  /// Whether an `Origin` is the one that the request went to. A proxy may have ended the TLS: the scheme may differ.
  private func isOwn(_ origin: String, _ authority: Authority?) -> Bool {
    guard let authority else { return false }
    for (scheme, port) in [("http://", UInt16(80)), ("https://", 443)] where origin.utf8.starts(with: scheme.utf8) {
      guard let named = Authority(origin.utf8.dropFirst(scheme.utf8.count)) else { return false }
      return named.hasSameHost(as: authority) && named.port ?? port == authority.port ?? port
    }
    return false
  }

  /// Whether no HTML form, and no script without leave, can send a body of this content type to another site.
  private func isBeyondForms(_ contentType: String) -> Bool {
    let type = contentType.prefix { $0 != ";" && $0 != "," && $0 != " " && $0 != "\t" }
    return !type.utf8.isEmpty
      && !["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
        .contains { $0.hasSameBytesIgnoringASCIICase(as: type) }
  }
}

extension HTTPRequestGuard {
  /// A host that requests may name: a host name or an address, with any port or one.
  public struct AllowedHost: Sendable, Hashable {
    fileprivate let host: String
    fileprivate let port: UInt16?

    fileprivate init(host: String, port: UInt16?) {
      self.host = host
      self.port = port
    }

    /// Reads `NAME`, `NAME:PORT`, `ADDRESS` or `[ADDRESS]:PORT`.
    ///
    /// - Parameter text: What a flag has. Nil is answered for what could be in no `Host` header.
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

  /// `HOST` or `HOST:PORT`, as `Host` has it.
  fileprivate struct Authority {
    /// Without brackets and without the dot at the end of an absolute name.
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
