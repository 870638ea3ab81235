// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupRPC
internal import Synchronization

/// The credentials of a file, which can be reloaded. They authenticate callers and count rejected calls. Any thread.
public final class Credentials: RPCAccess {
  /// The path of the file.
  public let file: String
  private let list: Locked<CredentialList>
  private let number = Atomic<Int>(0)
  private let logger: RateLimitedLogger
  private let refusals = Locked<[RPCRefusal: UInt64]>([:])

  /// Reads the file.
  ///
  /// - Parameters:
  ///   - file: the path of the file.
  ///   - logger: logs rejected calls, rate-limited by reason.
  /// - Throws: ``CredentialProblem`` if the file cannot be read or parsed.
  public init(file: String, logger: Logger = .silent) throws(CredentialProblem) {
    self.file = file
    self.logger = RateLimitedLogger(logger)
    list = Locked(try Self.read(file))
  }

  /// The number of credentials.
  public var count: Int { list.withLock { $0.count } }

  /// Reads the file again. If that fails, the previous credentials stay in force. The owner must check the permissions
  /// of open calls again afterwards.
  ///
  /// - Throws: ``CredentialProblem`` if the file cannot be read or parsed.
  public func reload() throws(CredentialProblem) {
    let new = try Self.read(file)
    list.withLock { $0 = new }
    // After the list: a thread that reads the new number finds the new list.
    number.add(1, ordering: .releasing)
  }

  private static func read(_ file: String) throws(CredentialProblem) -> CredentialList {
    let bytes: [UInt8]
    do throws(FileProblem) {
      bytes = try readSmallFile(file)
    } catch {
      throw CredentialProblem("\(file): \(error); give a file that the server's user can read")
    }
    return try CredentialList(bytes, file: file)
  }

  // MARK: RPCAccess

  /// A number that changes with each reload: identities that were established before are out of date.
  public var generation: Int { number.load(ordering: .acquiring) }

  /// Authenticates a caller, by its token if it sends one, or else by its certificate.
  ///
  /// - Parameters:
  ///   - authorization: the value of the header `authorization`; nil if there is none.
  ///   - certificateNames: the names in the client's certificate, each with its kind.
  /// - Returns: the caller.
  /// - Throws: the reason for the rejection.
  public func caller(authorization: [UInt8]?, certificateNames: [String]) throws(RPCRefusal) -> RPCCaller {
    let list = list.withLock { $0 }
    if let authorization {
      guard let token = Self.token(authorization) else { throw .malformed }
      guard let caller = list.caller(token: token) else { throw .unknownToken }
      return caller
    }
    guard !certificateNames.isEmpty else { throw .missing }
    guard let caller = list.caller(certificateNames: certificateNames) else { throw .unknownCertificate }
    return caller
  }

  /// The token after `Bearer`, which is case-insensitive (RFC 7235).
  private static func token(_ authorization: [UInt8]) -> [UInt8]? {
    let scheme = Array("bearer ".utf8)
    guard authorization.count > scheme.count,
      authorization.prefix(scheme.count).map({ (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }) == scheme
    else { return nil }
    return Array(authorization.dropFirst(scheme.count))
  }

  /// Counts a rejected call, and logs it with rate limiting.
  ///
  /// - Parameters:
  ///   - refusal: the reason.
  ///   - caller: the name of the credential; nil if the caller is not authenticated.
  ///   - permission: the permission that the call needs; nil if none was checked.
  ///   - peer: the address of the caller.
  public func refused(_ refusal: RPCRefusal, _ caller: String?, _ permission: RPCPermission?, peer: String) {
    refusals.withLock { $0[refusal, default: 0] += 1 }
    logger.log(
      .warning, "call_refused", reason: refusal.rawValue, "Call refused: \(refusal.rawValue)",
      [
        "reason": .string(refusal.rawValue), "credential": .string(caller ?? ""),
        "right": .string(permission?.name ?? ""), "peer": .string(peer),
      ])
  }

  /// The number of calls that were rejected for a reason.
  ///
  /// - Parameter refusal: the reason.
  /// - Returns: the number since the start.
  public func refusals(_ refusal: RPCRefusal) -> UInt64 {
    refusals.withLock { $0[refusal] ?? 0 }
  }
}
