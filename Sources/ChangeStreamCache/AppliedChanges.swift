internal import BSON

/// What the changes of one step have done to the keys, to be published together.
///
/// Of several changes of a key only the last is shown: in between nobody could say what the key answered, because a
/// transaction was not whole or a change was passed over.
struct AppliedChanges {
  private var steps: [AnswerPublisher.Step] = []
  /// The keys of each document so far.
  private var touched: [DocumentID: Set<LookupKey>] = [:]

  /// A change of the document may have changed the answers of `keys`. One that stands for others stands for all keys
  /// that the document had: `entry` is of before it. They are announced although nothing may differ here: another
  /// server may have shown something in between.
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

  /// Each key is left to the last change of it.
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
