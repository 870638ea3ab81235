// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import ConfigLookupCore

extension MongodModel {
  /// Runs a command that creates, drops, renames or modifies collections.
  mutating func changeCatalog(_ request: Request, at member: Int) throws(Interruption) -> BSONBuilder {
    let collections = set.members[member].store.collections
    let namespace = request.namespace
    switch request.command {
    case "create":
      guard collections[namespace] == nil else {
        throw .failed(CommandError(48, "NamespaceExists", "Collection already exists. NS: \(namespace)"))
      }
      set.append([Operation(.create, namespace, uuid: set.makeID(count: 16))], at: member)
      try setImages(request, namespace, at: member)
    case "collMod": try setImages(request, namespace, at: member)
    case "drop":
      guard let collection = collections[namespace] else {
        throw .failed(CommandError(26, "NamespaceNotFound", "ns not found"))
      }
      set.append([Operation(.drop, namespace, uuid: collection.rows.uuid)], at: member)
    case "dropDatabase":
      let own = collections.filter { $0.key.database == request.database }
      for (namespace, collection) in own.sorted(by: { $0.key.collection < $1.key.collection }) {
        set.append([Operation(.drop, namespace, uuid: collection.rows.uuid)], at: member)
      }
      if !own.isEmpty {
        set.append([Operation(.dropDatabase, Namespace(request.database, ""), uuid: [])], at: member)
      }
    default: try rename(request, collections, at: member)
    }
    return BSONBuilder()
  }

  private mutating func setImages(
    _ request: Request, _ namespace: Namespace, at member: Int
  ) throws(Interruption) {
    guard let options = request.body.field("changeStreamPreAndPostImages")?.document else { return }
    guard personality.hasImages else {
      throw .failed(
        CommandError(40415, "Location40415", "BSON field 'changeStreamPreAndPostImages' is an unknown field."))
    }
    guard let collection = set.members[member].store.collections[namespace] else {
      throw .failed(CommandError(26, "NamespaceNotFound", "ns does not exist"))
    }
    let isOn = options.field("enabled")?.isTrue ?? false
    guard isOn != collection.hasImages else { return }
    set.append([Operation(.setImages(isOn), namespace, uuid: collection.rows.uuid)], at: member)
  }

  private mutating func rename(
    _ request: Request, _ collections: [Namespace: Store.Collection], at member: Int
  ) throws(Interruption) {
    let source = Namespace(request.body.field("renameCollection")?.text ?? "")
    let target = Namespace(request.body.field("to")?.text ?? "")
    guard let collection = collections[source] else {
      throw .failed(CommandError(26, "NamespaceNotFound", "Source collection \(source) does not exist"))
    }
    let dropped = collections[target]?.rows.uuid
    guard dropped == nil || request.body.field("dropTarget")?.isTrue == true else {
      throw .failed(CommandError(48, "NamespaceExists", "target namespace exists"))
    }
    set.append(
      [Operation(.rename(to: target, droppedUUID: dropped), source, uuid: collection.rows.uuid)], at: member)
  }
}
