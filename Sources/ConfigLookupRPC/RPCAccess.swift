// SPDX-License-Identifier: Apache-2.0
/// A permission: one operation that a caller may be allowed to do. The service defines which permissions exist.
public struct RPCPermission: Sendable, Hashable {
  /// The name of the permission in credentials and messages, such as `read:prompt`.
  public let name: String
  fileprivate let bit: UInt32

  /// Creates a permission.
  ///
  /// - Parameters:
  ///   - name: The name in credentials and messages.
  ///   - place: The index of the permission's bit, 0 ..< 32. It differs for each permission of a service.
  public init(_ name: String, place: Int) {
    self.name = name
    bit = 1 << UInt32(place)
  }
}

/// The identity of a caller, named as in the credentials, with the permissions of that caller.
public struct RPCCaller: Sendable, Hashable {
  /// The name of the caller, for logs and messages. It is not secret.
  public let name: String
  fileprivate let bits: UInt32

  /// Creates a caller.
  ///
  /// - Parameters:
  ///   - name: The name for logs and messages.
  ///   - permissions: The permissions of the caller.
  public init(name: String, permissions: some Sequence<RPCPermission>) {
    self.name = name
    bits = permissions.reduce(0) { $0 | $1.bit }
  }

  /// Returns whether the caller has a permission.
  ///
  /// - Parameter permission: The permission.
  public func has(_ permission: RPCPermission) -> Bool { bits & permission.bit != 0 }
}

/// The reason for which a call was rejected, for counters and the log.
public enum RPCRefusal: String, Error, Sendable, CaseIterable {
  /// The caller sent neither a token nor a certificate.
  case missing = "no_credential"
  /// The value of `authorization` is not `Bearer` followed by a token.
  case malformed = "malformed_authorization"
  /// The token is not one of the server's credentials.
  case unknownToken = "unknown_token"
  /// No credential matches a name in the certificate.
  case unknownCertificate = "unknown_certificate"
  /// The caller is known, but does not have the permission.
  case notPermitted = "not_permitted"
}

/// The peer of a connection, with what the transport has found out about it.
public protocol RPCPeer: AnyObject {
  /// The address of the peer, for the log.
  var address: String { get }
  /// The names in the peer's verified certificate, such as `dns:worker.example`. Empty if it has no certificate.
  var certificateNames: [String] { get }
}

/// Authenticates callers. It may be used from any thread.
public protocol RPCAccess: AnyObject, Sendable {
  /// A number that changes whenever the result of ``caller(authorization:certificateNames:)`` may have changed.
  var generation: Int { get }

  /// Returns the caller to whom a token belongs or, if there is no token, the caller with a name of the certificate.
  ///
  /// - Parameters:
  ///   - authorization: The value of `authorization`; nil if the caller sent none.
  ///   - certificateNames: The names in the verified certificate.
  /// - Returns: The caller.
  /// - Throws: The reason for which no caller was found.
  func caller(authorization: [UInt8]?, certificateNames: [String]) throws(RPCRefusal) -> RPCCaller

  /// Counts and logs a call that was rejected.
  ///
  /// - Parameters:
  ///   - refusal: The reason.
  ///   - caller: The name of the caller; nil if it is not known.
  ///   - permission: The permission that the call needed; nil if it needed no particular one.
  ///   - peer: The address of the peer.
  func refused(_ refusal: RPCRefusal, _ caller: String?, _ permission: RPCPermission?, peer: String)
}

/// The credentials that a caller has presented, and the caller to whom they belong at present. Credentials may be
/// reloaded while a call is open.
///
/// It is used on its worker's thread only.
public final class RPCIdentity {
  private let access: any RPCAccess
  private let peer: any RPCPeer
  fileprivate let authorization: [UInt8]?
  /// The generation of the credentials by which `outcome` was found.
  private var generation: Int?
  private var outcome = Result<RPCCaller, RPCRefusal>.failure(.missing)
  /// The caller's permissions, for a fast check.
  private var bits: UInt32 = 0

  fileprivate init(_ access: any RPCAccess, _ peer: any RPCPeer, authorization: [UInt8]?) {
    self.access = access
    self.peer = peer
    self.authorization = authorization
  }

  /// Returns whether the caller is already known to have a permission. If the result is false, ``require(_:)`` decides.
  ///
  /// - Parameter permission: The permission.
  public func isKnownToHave(_ permission: RPCPermission) -> Bool {
    bits & permission.bit != 0 && access.generation == generation
  }

  /// Checks that the caller has a permission. A failure is counted and logged.
  ///
  /// - Parameter permission: The permission.
  /// - Throws: UNAUTHENTICATED if the caller is not known; PERMISSION_DENIED if it does not have the permission.
  public func require(_ permission: RPCPermission) throws(RPCStatus) {
    if isKnownToHave(permission) { return }
    let caller = try caller(for: permission)
    guard caller.has(permission) else {
      access.refused(.notPermitted, caller.name, permission, peer: peer.address)
      throw RPCStatus(
        .permissionMissing, "the credential \"\(caller.name)\" lacks the permission \(permission.name)",
        metadata: ["credential": caller.name, "permission": permission.name])
    }
  }

  /// Authenticates the caller, with the current credentials. A failure is counted and logged.
  ///
  /// - Parameter permission: The permission that the call needs, for the log; nil if it needs no particular one.
  /// - Returns: The caller.
  /// - Throws: UNAUTHENTICATED if the caller is not known.
  public func caller(for permission: RPCPermission? = nil) throws(RPCStatus) -> RPCCaller {
    // The generation is read first, so that a change in between is detected at the next call.
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
      access.refused(error, nil, permission, peer: peer.address)
      throw RPCStatus(error == .missing ? .credentialsMissing : .credentialsInvalid, error.advice)
    }
  }
}

extension RPCRefusal {
  /// Advice for a caller that may be an attacker: it explains what to send, and reveals nothing about the credentials.
  fileprivate var advice: String {
    switch self {
    case .missing: "authorization: is missing; send \"Bearer TOKEN\", or use a client certificate with permissions here"
    case .malformed: "authorization: does not have the form \"Bearer TOKEN\""
    case .unknownToken, .notPermitted: "authorization: the token is not in the credentials of this server"
    case .unknownCertificate: "the client certificate has no permissions on this server, and no token was sent"
    }
  }
}

/// The identities of the calls of one connection. It is used on the connection's thread only.
///
/// Nearly all calls of a connection have the same identity. The last one is kept, so that a token is looked up once for
/// each connection.
public final class RPCIdentities {
  private let access: any RPCAccess
  private let peer: any RPCPeer
  private var last: RPCIdentity

  /// Creates the identities of a connection.
  ///
  /// - Parameters:
  ///   - access: Authenticates the callers.
  ///   - peer: The peer of the connection.
  public init(_ access: any RPCAccess, _ peer: any RPCPeer) {
    self.access = access
    self.peer = peer
    last = RPCIdentity(access, peer, authorization: nil)
  }

  /// The identity of a call with this value of `authorization`; nil stands for a call without one.
  public subscript(authorization: UnsafeRawBufferPointer?) -> RPCIdentity {
    // An identity is kept until the connection closes, so its size is bounded. A value above the bound is longer than
    // any valid token.
    if let authorization, authorization.count > RPCLimits.authorizationBytes { return unidentified }
    if !isLast(authorization) {
      last = RPCIdentity(access, peer, authorization: authorization.map { Array($0) })
    }
    return last
  }

  /// The identity of a call whose `authorization` cannot belong to any caller, because it occurs twice or because the
  /// metadata of the call cannot be read. The call has no permissions, whatever certificate the peer has.
  public var unidentified: RPCIdentity {
    self[UnsafeRawBufferPointer(start: nil, count: 0)]
  }

  private func isLast(_ authorization: UnsafeRawBufferPointer?) -> Bool {
    guard let authorization, let known = last.authorization else {
      return authorization == nil && last.authorization == nil
    }
    guard authorization.count == known.count else { return false }
    // The comparison takes constant time, because a proxy may send calls of several callers over one connection.
    var difference: UInt8 = 0
    for index in 0..<known.count { difference |= authorization[index] ^ known[index] }
    return difference == 0
  }
}
