// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
public import ConfigLookupRPC

extension ServedEntity {
  /// The permission for lookups and lists of this entity, and for its part of watches and of the status.
  public var readPermission: RPCPermission { readPermissions[rawValue] }
}

private let readPermissions = ServedEntity.allCases.map { RPCPermission("read:\($0.name)", place: $0.rawValue) }

extension RPCPermission {
  /// The permission to watch the entities that the caller may read.
  public static let watch = RPCPermission("watch", place: 8)
  /// The permission to reload caches, and to see the status of all of them.
  public static let admin = RPCPermission("admin", place: 9)

  /// Parses a permission, as credentials name it: `read` (every entity), `read:prompt,agent_config`, `watch`, `admin`.
  ///
  /// - Parameter word: the name of the permission.
  /// - Returns: the permissions; nil for an unknown name.
  public static func permissions(called word: some StringProtocol) -> [RPCPermission]? {
    switch word {
    case "watch": return [.watch]
    case "admin": return [.admin]
    case "read": return readPermissions
    default: break
    }
    guard word.hasPrefix("read:") else { return nil }
    let names = word.dropFirst(5).split(separator: ",", omittingEmptySubsequences: false)
    let permissions = names.map { name in ServedEntity.allCases.first { $0.name == name }?.readPermission }
    return permissions.contains(nil) ? nil : permissions.compactMap { $0 }
  }

  /// The names of all permissions, for error messages.
  public static var words: String {
    "read, read:\(ServedEntity.allCases.map(\.name).joined(separator: ",")), watch, admin"
  }
}

extension RPCRequest {
  /// The entities that the caller may read. Throws UNAUTHENTICATED if the caller is not authenticated.
  func readableEntities() throws(RPCStatus) -> [ServedEntity] {
    guard let caller = try identity?.caller() else { return ServedEntity.allCases }
    return ServedEntity.allCases.filter { caller.has($0.readPermission) }
  }
}
