internal import ChangeStreamCache
public import RPC

extension ServedEntity {
  /// Lookups and lists of this entity, and its part of watches and of the status.
  public var readRight: RPCRight { readRights[rawValue] }
}

private let readRights = ServedEntity.allCases.map { RPCRight("read:\($0.name)", place: $0.rawValue) }

extension RPCRight {
  /// To watch what may be read.
  public static let watch = RPCRight("watch", place: 8)
  /// To have caches reload, and to see how all of them are doing.
  public static let admin = RPCRight("admin", place: 9)

  /// What a word stands for, as credentials have it: `read` (every entity), `read:prompt,agent_config`, `watch`,
  /// `admin`. Nil where it stands for nothing.
  public static func rights(called word: some StringProtocol) -> [RPCRight]? {
    switch word {
    case "watch": return [.watch]
    case "admin": return [.admin]
    case "read": return readRights
    default: break
    }
    guard word.hasPrefix("read:") else { return nil }
    let names = word.dropFirst(5).split(separator: ",", omittingEmptySubsequences: false)
    let rights = names.map { name in ServedEntity.allCases.first { $0.name == name }?.readRight }
    return rights.contains(nil) ? nil : rights.compactMap { $0 }
  }

  /// The words there are, for messages.
  public static var words: String {
    "read, read:\(ServedEntity.allCases.map(\.name).joined(separator: ",")), watch, admin"
  }
}

extension RPCRequest {
  /// The entities that the caller may read. Throws UNAUTHENTICATED for who is not known.
  func readableEntities() throws(RPCStatus) -> [ServedEntity] {
    guard let caller = try identity?.caller() else { return ServedEntity.allCases }
    return ServedEntity.allCases.filter { caller.has($0.readRight) }
  }
}
