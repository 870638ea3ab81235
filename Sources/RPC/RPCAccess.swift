/// One thing that a caller may be allowed to do; the service says which there are.
public struct RPCRight: Sendable, Hashable {
  /// As credentials and messages have it: `read:prompt`.
  public let name: String
  fileprivate let bit: UInt32

  /// `place` tells it from the service's other rights: 0 ..< 32.
  public init(_ name: String, place: Int) {
    self.name = name
    bit = 1 << UInt32(place)
  }
}

/// Who calls, as credentials name it, and what that caller may do.
public struct RPCCaller: Sendable, Hashable {
  /// For logs and messages. No secret.
  public let name: String
  fileprivate let bits: UInt32

  public init(name: String, rights: some Sequence<RPCRight>) {
    self.name = name
    bits = rights.reduce(0) { $0 | $1.bit }
  }

  /// Whether it may do this.
  public func has(_ right: RPCRight) -> Bool { bits & right.bit != 0 }
}

/// Why a call was refused, for counters and the log.
public enum RPCRefusal: String, Error, Sendable, CaseIterable {
  /// Neither a token nor a certificate.
  case missing = "no_credential"
  /// `authorization` is not `Bearer` and a token.
  case malformed = "malformed_authorization"
  case unknownToken = "unknown_token"
  /// No credential is for a name of the certificate.
  case unknownCertificate = "unknown_certificate"
  /// The caller is known, and may not do this.
  case notPermitted = "not_permitted"
}

/// The other end of a connection, as far as the transport knows it.
public protocol RPCPeer: AnyObject {
  /// Where it is, for the log.
  var address: String { get }
  /// The names in its verified certificate, `dns:worker.example`; none without one.
  var certificateNames: [String] { get }
}

/// Decides who callers are. Any thread.
public protocol RPCAccess: AnyObject, Sendable {
  /// Another number after each change of what ``caller(authorization:certificateNames:)`` answers.
  var generation: Int { get }

  /// Whose token `authorization` is or, where there is none, whose certificate has such a name.
  func caller(authorization: [UInt8]?, certificateNames: [String]) throws(RPCRefusal) -> RPCCaller

  /// A call was refused: to be counted and logged. `caller` is nil where it is not known.
  func refused(_ refusal: RPCRefusal, _ caller: String?, _ right: RPCRight?, peer: String)
}

/// What a caller has shown of itself, and who that is now: credentials may change while a call is open.
///
/// On its worker's thread only.
public final class RPCIdentity {
  private let access: any RPCAccess
  private let peer: any RPCPeer
  fileprivate let authorization: [UInt8]?
  /// What it was found out by, and what that was.
  private var generation: Int?
  private var outcome = Result<RPCCaller, RPCRefusal>.failure(.missing)
  /// The caller's, for the usual case.
  private var bits: UInt32 = 0

  fileprivate init(_ access: any RPCAccess, _ peer: any RPCPeer, authorization: [UInt8]?) {
    self.access = access
    self.peer = peer
    self.authorization = authorization
  }

  /// Whether it is known that the caller may do this; if not, ``require(_:)`` finds out.
  public func isKnownToHave(_ right: RPCRight) -> Bool {
    bits & right.bit != 0 && access.generation == generation
  }

  /// Throws UNAUTHENTICATED for who is not known, PERMISSION_DENIED for who may not do this.
  public func require(_ right: RPCRight) throws(RPCStatus) {
    if isKnownToHave(right) { return }
    let caller = try caller(for: right)
    guard caller.has(right) else {
      access.refused(.notPermitted, caller.name, right, peer: peer.address)
      throw RPCStatus(.permissionDenied, "the credential \"\(caller.name)\" lacks the permission \(right.name)")
    }
  }

  /// Who it is. Throws UNAUTHENTICATED for who is not known.
  public func caller(for right: RPCRight? = nil) throws(RPCStatus) -> RPCCaller {
    // First the number: a change in between is seen the next time.
    let now = access.generation
    if generation != now {
      generation = now
      outcome = Result { () throws(RPCRefusal) in
        try access.caller(
          authorization: authorization, certificateNames: authorization == nil ? peer.certificateNames : [])
      }
      bits = (try? outcome.get().bits) ?? 0
    }
    do throws(RPCRefusal) {
      return try outcome.get()
    } catch {
      access.refused(error, nil, right, peer: peer.address)
      throw RPCStatus(.unauthenticated, error.advice)
    }
  }
}

extension RPCRefusal {
  /// For the caller, who may be anybody: what to send, and nothing of what is known here.
  fileprivate var advice: String {
    switch self {
    case .missing: "authorization: is missing; send \"Bearer TOKEN\", or use a client certificate with permissions here"
    case .malformed: "authorization: does not have the form \"Bearer TOKEN\""
    case .unknownToken, .notPermitted: "authorization: the token is not in the credentials of this server"
    case .unknownCertificate: "the client certificate has no permissions on this server, and no token was sent"
    }
  }
}

/// The identities that the calls of one connection have. On the connection's thread only.
///
/// Nearly always it is one and the same: the last one is kept, so that a token is looked up once a connection.
public final class RPCIdentities {
  private let access: any RPCAccess
  private let peer: any RPCPeer
  private var last: RPCIdentity

  public init(_ access: any RPCAccess, _ peer: any RPCPeer) {
    self.access = access
    self.peer = peer
    last = RPCIdentity(access, peer, authorization: nil)
  }

  /// That of a call with this `authorization`.
  public subscript(authorization: UnsafeRawBufferPointer?) -> RPCIdentity {
    // It is kept for as long as the connection is there: one that is longer than any token is not valid.
    if let authorization, authorization.count > Limits.authorizationBytes { return unidentified }
    if !isLast(authorization) {
      last = RPCIdentity(access, peer, authorization: authorization.map { Array($0) })
    }
    return last
  }

  /// That of a call whose `authorization` cannot be taken for anybody's: it is there twice, or the call's metadata
  /// cannot be read. Every right is refused to it, whatever certificate the peer has.
  public var unidentified: RPCIdentity {
    self[UnsafeRawBufferPointer(start: nil, count: 0)]
  }

  private func isLast(_ authorization: UnsafeRawBufferPointer?) -> Bool {
    guard let authorization, let known = last.authorization else {
      return authorization == nil && last.authorization == nil
    }
    guard authorization.count == known.count else { return false }
    // In constant time: through a proxy, others' calls may come over the connection.
    var difference: UInt8 = 0
    for index in 0..<known.count { difference |= authorization[index] ^ known[index] }
    return difference == 0
  }
}
