// SPDX-License-Identifier: Apache-2.0
internal import CLibevent
internal import ConfigLookupCore

extension HTTPRequestGuard.Refusal {
  /// The index of the reason in a ``CounterTable``.
  var index: Int {
    switch self {
    case .malformedHost: 0
    case .unknownHost: 1
    case .crossSite: 2
    case .formContentType: 3
    }
  }

  /// The HTTP status (RFC 9110, section 15.5).
  var status: Int {
    switch self {
    case .malformedHost: 400
    case .unknownHost: 421
    case .crossSite: 403
    case .formContentType: 415
    }
  }

  /// What is wrong and what to do, for the caller and for the log.
  var advice: String {
    switch self {
    case .malformedHost: "Host: must be one host name or address, with or without a port"
    case .unknownHost: "Host: is not a name or address of this server; add names with --http-allowed-hosts"
    case .crossSite: "The request was sent by a web page of another site (Origin, Sec-Fetch-Site)"
    case .formContentType: "Content-Type: must not be one that HTML forms can send; use application/json, or no body"
    }
  }
}

extension HTTPRequestGuard.Head {
  /// Reads the head of an evhttp request. To be called on the loop's thread.
  ///
  /// - Parameters:
  ///   - request: A complete `evhttp_request`.
  ///   - stream: The `bufferevent` of its connection.
  init(of request: OpaquePointer, on stream: OpaquePointer?) {
    let method = evhttp_request_get_command(request)
    isRead = method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD
    localAddress = stream.flatMap { SocketAddress.local(of: bufferevent_getfd($0)) }.flatMap { IPAddress($0) }
    // A target without a scheme is a path that begins with two slashes.
    if let uri = evhttp_request_get_evhttp_uri(request), evhttp_uri_get_scheme(uri) != nil,
      let host = evhttp_uri_get_host(uri)
    {
      let port = evhttp_uri_get_port(uri)
      targetHost = String(cString: host) + (port >= 0 ? ":\(port)" : "")
    }
    var next = evhttp_request_get_input_headers(request)?.pointee.tqh_first
    while let header = next?.pointee {
      next = header.next.tqe_next
      guard let key = header.key, let value = header.value else { continue }
      let name = String(cString: key)
      guard let list = Self.fields.first(where: { $0.name.hasSameBytesIgnoringASCIICase(as: name) })?.list else {
        continue
      }
      self[keyPath: list].append(String(cString: value))
    }
  }

  private static var fields: [(name: String, list: WritableKeyPath<Self, [String]>)] {
    [
      ("Host", \.hosts), ("Origin", \.origins), ("Content-Type", \.contentTypes), ("Authorization", \.authorizations),
      ("Sec-Fetch-Site", \.fetchSites),
      ("Sec-Fetch-Mode", \.fetchModes), ("Sec-Fetch-Dest", \.fetchDestinations),
    ]
  }
}
