// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// Collects the keys that the changes of one step affect, so that all are published together.
///
/// Of several changes of a key only the last is published. The states in between are unknown, because a transaction was
/// incomplete or a change was passed over.
struct AppliedChanges {
  private var steps: [AnswerPublisher.Step] = []
  /// The keys of each document that the changes so far have affected.
  private var touched: [DocumentID: Set<LookupKey>] = [:]

  /// Records that a change of a document may have changed the answers of `keys`.
  ///
  /// A change that stands for earlier ones stands for all keys that the document had; `entry` is the document's entry
  /// before the change. These keys are announced even if nothing differs here, because another server may have served a
  /// state in between.
  mutating func add(
    _ ready: ChangeQueue.Ready, _ cause: AnswerPublisher.Cause, _ keys: [LookupKey], before entry: Entry?,
    after newEntry: Entry?
  ) {
    var step = AnswerPublisher.Step(keys: keys, cause: cause, id: ready.id)
    if ready.standsForOthers {
      step.repeating = touched[ready.id] ?? []
      if let entry { step.repeating.formUnion(entry.keys) }
      if let newEntry { step.repeating.formUnion(newEntry.keys) }
    }
    touched[ready.id, default: []].formUnion(keys)
    steps.append(step)
  }

  /// Returns the steps with each key assigned to its last change only.
  consuming func merged() -> [AnswerPublisher.Step] {
    guard steps.count > 1 else { return steps }
    var last: [LookupKey: Int] = [:]
    for index in steps.indices.reversed() {
      for key in steps[index].repeating.union(steps[index].keys) {
        if let later = last[key] { steps[later].repeating.insert(key) } else { last[key] = index }
      }
      steps[index].keys.removeAll { last[$0] != index }
      steps[index].repeating = steps[index].repeating.filter { last[$0] == index }
    }
    return steps
  }
}
