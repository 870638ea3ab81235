public import NearCache

/// How a ``ConfigLookupClient`` finds its servers, and what it keeps. Times are in seconds.
public struct ClientConfiguration: Sendable {
  /// `HOST:PORT` of each server. A name is resolved again for each connection. All of them serve the same database.
  public var addresses: [String]
  /// Nil: plain TCP.
  public var tls: TLS?
  /// A bearer token, sent with each call.
  public var token: String?
  /// How long a lookup may take, with all its tries.
  public var timeout = 5.0
  /// How long a connection may take to come about.
  public var connectTimeout = 5.0
  /// The longest wait between two tries to connect. The first follows at once.
  public var longestBackoff = 5.0
  /// Without a connection for so long, the state is ``ConfigLookupClient/State/error``.
  public var errorAfter = 30.0
  /// What is kept near. Nil: every lookup goes to a server.
  public var nearCache: NearCacheLimits? = NearCacheLimits()
  /// Whether notices bring the new values of what is kept, so that a change costs no lookup; or else what changed is
  /// dropped, and fetched when it is next asked for. Each notice is as large as its value then, for all keys.
  public var pushesValues = false

  /// Encryption, and who is who.
  public struct TLS: Sendable {
    /// The authorities that may have issued the server's certificate (a PEM file); nil for those of the system.
    public var authorities: String?
    /// A certificate to show, and its key (PEM files).
    public var certificate: String?
    public var key: String?
    /// The name that the server's certificate must be for; nil for the address's host.
    public var serverName: String?

    public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil) {
      self.authorities = authorities
      self.certificate = certificate
      self.key = key
      self.serverName = serverName
    }
  }

  /// Bounds of what is kept near. The time of an answer runs from when a server last confirmed it: while there is a
  /// connection, that is every ten seconds.
  public struct NearCacheLimits: Sendable {
    public var maximumEntries = 10_000
    /// As the messages take on the wire, times two.
    public var maximumBytes = 64 * 1024 * 1024
    /// By entity name, as `prompt`.
    public var policies: [String: NearCachePolicy] = [:]
    public var defaultPolicy = NearCachePolicy()

    public init() {}
  }

  public init(addresses: [String]) {
    self.addresses = addresses
  }
}
