public import Core
public import RPC
internal import Synchronization

/// The credentials of a file, which may be replaced: who callers are, and how often they were refused. Any thread.
public final class Credentials: RPCAccess {
  /// The file they come from.
  public let file: String
  private let list: Locked<CredentialList>
  private let number = Atomic<Int>(0)
  private let logger: RateLimitedLogger
  private let refusals = Locked<[RPCRefusal: UInt64]>([:])

  /// Reads the file.
  public init(file: String, logger: Logger = .silent) throws(CredentialProblem) {
    self.file = file
    self.logger = RateLimitedLogger(logger)
    list = Locked(try Self.read(file))
  }

  /// How many there are.
  public var count: Int { list.withLock { $0.count } }

  /// Reads the file again. If that fails, all stays as it was. Whoever has calls open must look at them again.
  public func reload() throws(CredentialProblem) {
    let new = try Self.read(file)
    list.withLock { $0 = new }
    // After the list: who sees the number finds the list.
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

  public var generation: Int { number.load(ordering: .acquiring) }

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

  /// What stands behind `Bearer`, in capitals or not (RFC 7235).
  private static func token(_ authorization: [UInt8]) -> [UInt8]? {
    let scheme = Array("bearer ".utf8)
    guard authorization.count > scheme.count,
      authorization.prefix(scheme.count).map({ (0x41...0x5a).contains($0) ? $0 | 0x20 : $0 }) == scheme
    else { return nil }
    return Array(authorization.dropFirst(scheme.count))
  }

  public func refused(_ refusal: RPCRefusal, _ caller: String?, _ right: RPCRight?, peer: String) {
    refusals.withLock { $0[refusal, default: 0] += 1 }
    logger.log(
      .warning, "call_refused", reason: refusal.rawValue, "Call refused: \(refusal.rawValue)",
      [
        "reason": .string(refusal.rawValue), "credential": .string(caller ?? ""),
        "right": .string(right?.name ?? ""), "peer": .string(peer),
      ])
  }

  /// How many calls were refused for this reason.
  public func refusals(_ refusal: RPCRefusal) -> UInt64 {
    refusals.withLock { $0[refusal] ?? 0 }
  }
}
