// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache

/// A selector: a request field by which answers of an entity are looked up.
struct ServedSelector: Sendable, Hashable {
  let entity: ServedEntity
  /// The name of the field, as in notices and cache keys.
  let name: String
  /// The index of its bit in a ``SelectorSet``.
  let index: Int

  /// Every selector of every entity, in the order of the entities and of their key spaces.
  static let all: [ServedSelector] = {
    var all: [ServedSelector] = []
    for entity in ServedEntity.allCases {
      for case let name? in entity.keySpaces.map(\.selector)
      where !all.contains(where: { $0.entity == entity && $0.name == name }) {
        all.append(ServedSelector(entity: entity, name: name, index: all.count))
      }
    }
    precondition(all.count <= UInt32.bitWidth, "more selectors than a SelectorSet has room for")
    return all
  }()

  /// The selector of each key space, by ``ServedEntity`` and space.
  private static let bySpace: [[ServedSelector?]] = ServedEntity.allCases.map { entity in
    entity.keySpaces.map { space in all.first { $0.entity == entity && $0.name == space.selector } }
  }

  /// The selector of a key space; nil for a space whose answers are not announced.
  static func of(_ entity: ServedEntity, space: UInt8) -> ServedSelector? {
    let spaces = bySpace[entity.rawValue]
    return Int(space) < spaces.count ? spaces[Int(space)] : nil
  }
}

/// A set of selectors of all entities.
struct SelectorSet: Sendable, Hashable {
  private(set) var bits: UInt32 = 0

  init(_ selectors: some Sequence<ServedSelector> = []) {
    for selector in selectors { bits |= 1 << UInt32(selector.index) }
  }

  /// Whether answers of this key space are looked up by one of these selectors.
  func contains(_ entity: ServedEntity, space: UInt8) -> Bool {
    ServedSelector.of(entity, space: space).map { bits & 1 << UInt32($0.index) != 0 } ?? false
  }

  /// Whether a selector of the entity is among them.
  func contains(_ entity: ServedEntity) -> Bool {
    ServedSelector.all.contains { $0.entity == entity && bits & 1 << UInt32($0.index) != 0 }
  }

  /// The entities that have a selector here, in order.
  var entities: [ServedEntity] { ServedEntity.allCases.filter(contains) }
}
