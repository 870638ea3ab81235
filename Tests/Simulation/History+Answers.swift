// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees

/// The answers that several documents determine together: of a container, of an A/B test, of a list.
extension History {
  /// The names of containers and of the agents of sources.
  static let containers = ["c0", "c1"]
  static let sourceAgents = ["a0", "a1"]

  static func testKey(_ selector: String, _ key: String) -> String { "prompt#test.\(selector):\(key)" }
  static func blobKey(_ container: String) -> String { "source_config#blob:\(container)" }
  static func list(_ collection: Collection) -> String { "\(collection.entity)#list" }

  /// Records in the true history which answers the documents of a collection determine together from `time` on.
  func recordAnswers(of collection: Collection, at time: Revision) {
    let documents = documents[collection.rawValue].values.filter(\.isInFilter)
    // An invalid document may be replaced by a different last valid version on each server.
    if unsureCollections.contains(collection) || documents.contains(where: \.isBad) {
      return forgetAnswers(of: collection, at: time)
    }
    switch collection {
    case .agentConfigs:
      let winners = Self.winners(documents) { $0.key }
      record(collection, winners.map { ListRow([$0.key], Self.row([$0.key], $0.value)) }, at: time)
    case .prompts: recordPrompts(documents, at: time)
    case .sourceConfigs: recordSources(documents, at: time)
    }
  }

  private func recordPrompts(_ documents: [SimulatedDocument], at time: Revision) {
    let active = documents.filter { !$0.isStaged }
    let staged = documents.filter(\.isStaged)
    for (selector, names) in [("agent_id", keyNames), ("prompt_id", promptNames)] {
      func key(_ document: SimulatedDocument) -> String { selector == "agent_id" ? document.key : document.promptID }
      let (active, staged) = (Self.winners(active, key), Self.winners(staged, key))
      for name in names {
        record(Self.testKey(selector, name), Self.tested(active[name], staged[name]), at: time)
      }
    }
    let winners = Self.winners(active) { $0.key }
    for name in keyNames {
      let label = winners[name].map { winner in
        let others = Set(active.filter { $0.key == name }.map(\.promptID)).subtracting([winner.promptID])
        return Validator.label(winner.label, withOthers: others.sorted())
      }
      record(Validator.keyWithOthers("prompt:\(name)"), label, at: time)
    }
    // An active prompt's row contains the version that is staged under the same `prompt_id`, regardless of its agent.
    let stagedPrompts = Self.winners(staged) { $0.promptID }
    let rows = Self.winners(active) { [$0.key, $0.promptID] }
    record(
      .prompts,
      rows.map { ListRow($0.key, Self.row($0.key, $0.value, staged: stagedPrompts[$0.key[1]]?.version)) }, at: time)
  }

  private func recordSources(_ documents: [SimulatedDocument], at time: Revision) {
    let winners = Self.winners(documents) { $0.key }
    let sources = winners.values.sorted { $0.key < $1.key }
    func members(_ sources: [SimulatedDocument]) -> [Member] { sources.map { Member($0.key, $0.label) } }
    for container in Self.containers {
      let inside = sources.filter { $0.container == container }
      record("source_config.container:\(container)", members(inside), at: time)
      record(Self.blobKey(container), (inside.first(where: \.hasPattern) ?? inside.first)?.label, at: time)
    }
    for agent in Self.sourceAgents {
      record("source_config.ai_agent_id:\(agent)", members(sources.filter { $0.aiAgentID == agent }), at: time)
    }
    record(.sourceConfigs, sources.map { ListRow([$0.key], Self.row([$0.key], $0)) }, at: time)
  }

  /// Records that the answers which several documents determine together are not known from `time` on.
  private func forgetAnswers(of collection: Collection, at time: Revision) {
    switch collection {
    case .agentConfigs: break
    case .prompts:
      for name in keyNames {
        forget(Self.testKey("agent_id", name), at: time)
        forget(Validator.keyWithOthers("prompt:\(name)"), at: time)
      }
      for name in promptNames { forget(Self.testKey("prompt_id", name), at: time) }
    case .sourceConfigs:
      for container in Self.containers {
        forgetMembers("source_config.container:\(container)", at: time)
        forget(Self.blobKey(container), at: time)
      }
      for agent in Self.sourceAgents { forgetMembers("source_config.ai_agent_id:\(agent)", at: time) }
    }
    guard recordedRows[collection.rawValue] != nil else { return }
    recordedRows[collection.rawValue] = nil
    validator.history.set(Self.list(collection), rows: nil, at: time)
  }

  private func forget(_ key: String, at time: Revision) {
    guard recorded.updateValue("?", forKey: key) != "?" else { return }
    validator.history.set(key, .unknown, at: time)
  }

  private func forgetMembers(_ key: String, at time: Revision) {
    guard recorded.updateValue("?", forKey: key) != "?" else { return }
    validator.history.set(key, members: nil, at: time)
  }

  private func record(_ key: String, _ label: String?, at time: Revision) {
    guard recorded.updateValue(label ?? "", forKey: key) ?? "" != label ?? "" else { return }
    validator.history.set(key, label.map { .label($0) } ?? .nothing, at: time)
  }

  private func record(_ key: String, _ members: [Member], at time: Revision) {
    let label = members.map(\.label).joined(separator: "+")
    guard recorded.updateValue(label, forKey: key) ?? "" != label else { return }
    validator.history.set(key, members: members, at: time)
  }

  private func record(_ collection: Collection, _ rows: [ListRow], at time: Revision) {
    let rows = rows.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    guard recordedRows[collection.rawValue] != rows else { return }
    recordedRows[collection.rawValue] = rows
    validator.history.set(Self.list(collection), rows: rows, at: time)
  }

  // MARK: Rules

  /// For each key, the document of the greatest rank, then of the greater `_id`.
  private static func winners<Key: Hashable>(
    _ documents: [SimulatedDocument], _ key: (SimulatedDocument) -> Key
  ) -> [Key: SimulatedDocument] {
    var winners: [Key: SimulatedDocument] = [:]
    for document in documents {
      let key = key(document)
      if let known = winners[key],
        document.rank == known.rank ? document.id < known.id : document.rank.lexicographicallyPrecedes(known.rank)
      {
        continue
      }
      winners[key] = document
    }
    return winners
  }

  /// The answer of an A/B lookup.
  private static func tested(_ active: SimulatedDocument?, _ staged: SimulatedDocument?) -> String? {
    guard let staged, staged.test != .off else { return active.map { tested($0.label, isStaged: false, test: "") } }
    let name = staged.testName ?? ""
    if staged.test == .forNobody { return active.map { tested($0.label, isStaged: false, test: name) } }
    return tested(staged.label, isStaged: true, test: name)
  }

  /// The label of a reply to an A/B lookup.
  static func tested(_ label: String, isStaged: Bool, test: String) -> String {
    "\(label) \(isStaged ? "staged" : "active") test \"\(test)\""
  }

  private static func row(_ key: [String], _ document: SimulatedDocument, staged: String? = nil) -> String {
    row(
      key, document.label, version: document.collection == .sourceConfigs ? "" : document.version,
      stagedVersion: staged ?? "")
  }

  /// The label of a row of a list.
  static func row(_ key: [String], _ label: String, version: String, stagedVersion: String) -> String {
    "\(key.joined(separator: "/")) = \(label) \(version) staged \"\(stagedVersion)\""
  }
}
