// SPDX-License-Identifier: Apache-2.0
public import NearCache

/// The configuration of a ``ConfigLookupClient``: its servers, credentials, timeouts and near cache.
public struct ClientConfiguration: Sendable {
  /// `HOST:PORT` of each server. All of them must serve the same database. A host name is resolved again for each
  /// connection.
  public var addresses: [String]
  /// TLS settings. Nil for cleartext TCP.
  public var tls: TLS?
  /// The bearer token that is sent with each call. Nil for none.
  public var token: String?
  /// How long a lookup may take, including all retries.
  public var timeout = Duration.seconds(5)
  /// How long the establishment of a connection may take.
  public var connectTimeout = Duration.seconds(5)
  /// The longest backoff between two connection attempts. The attempt after the loss of a connection that lasted for
  /// more than a second is made at once.
  public var longestBackoff = Duration.seconds(5)
  /// After this time without a connection, the state is ``ConfigLookupClient/State/error``.
  public var errorAfter = Duration.seconds(30)
  /// The limits of the near cache. Nil for no near cache: every lookup is sent to a server.
  public var nearCache: NearCacheLimits? = NearCacheLimits()
  /// Whether notices carry new values, which replace the cached ones, so that a change costs no lookup. If not, a
  /// notice drops the cached value, and the next lookup fetches the new one. With this option, the notice of each key,
  /// cached or not, is as large as its value.
  public var pushesValues = false

  /// TLS settings of a client. All files are PEM files.
  public struct TLS: Sendable {
    /// The file of the certificate authorities that are trusted to issue the server's certificate. Nil for those of the
    /// system.
    public var authorities: String?
    /// The file of the client certificate. It needs ``key``. Nil for none.
    public var certificate: String?
    /// The file of the private key of ``certificate``.
    public var key: String?
    /// The name that the server's certificate must match. Nil for the host of the address.
    public var serverName: String?

    /// Makes TLS settings.
    ///
    /// - Parameters:
    ///   - authorities: the trusted certificate authorities; nil for those of the system.
    ///   - certificate: the client certificate; nil for none.
    ///   - key: the private key of `certificate`.
    ///   - serverName: the expected name of the server; nil for the host of the address.
    public init(authorities: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil) {
      self.authorities = authorities
      self.certificate = certificate
      self.key = key
      self.serverName = serverName
    }
  }

  /// Limits of the near cache. The age of an answer counts from when a server last confirmed it; while the client is
  /// connected, that happens every ten seconds.
  public struct NearCacheLimits: Sendable {
    /// Maximum number of answers.
    public var maximumEntries = 10_000
    /// Maximum number of bytes. An answer counts twice the bytes of its message on the wire.
    public var maximumBytes = 64 * 1024 * 1024
    /// The policy of each entity, by the entity's name, as `prompt`.
    public var policies: [String: NearCachePolicy] = [:]
    /// The policy of entities that are not in ``policies``.
    public var defaultPolicy = NearCachePolicy()

    /// Makes the default limits: 10,000 answers and 64 MiB.
    public init() {}
  }

  /// Makes a configuration with the default of every other field.
  ///
  /// - Parameter addresses: `HOST:PORT` of each server.
  public init(addresses: [String]) {
    self.addresses = addresses
  }
}
