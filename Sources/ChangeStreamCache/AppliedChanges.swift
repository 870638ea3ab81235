internal import BSON

/// What the changes of one turn have done to the keys, to be shown at once.
///
/// Of several changes of a key only the last is shown: in between nobody could say what the key answered, because a
/// transaction was not whole or a change was passed over.
struct AppliedChanges {
  struct Step {
    let id: DocumentID
    let cause: AnswerPublisher.Cause
    fileprivate(set) var keys: [LookupKey]
    /// To be announced although nothing may differ: another server may have shown something in between.
    fileprivate(set) var repeating: Set<LookupKey> = []
  }

  private var steps: [Step] = []
  /// The keys of each document so far.
  private var touched: [DocumentID: Set<LookupKey>] = [:]

  /// A change of the document has changed the claims of `keys`. One that stands for others stands for all keys that the
  /// document had: `entry` is of before it.
  mutating func add(
    _ ready: ChangeQueue.Ready, _ cause: AnswerPublisher.Cause, _ keys: [LookupKey], before entry: Entry?,
    after newEntry: Entry?
  ) {
    var step = Step(id: ready.id, cause: cause, keys: keys)
    if ready.standsForOthers {
      step.repeating = touched[ready.id] ?? []
      if let entry { step.repeating.insert(entry.key) }
      if let newEntry { step.repeating.insert(newEntry.key) }
    }
    touched[ready.id, default: []].formUnion(keys)
    steps.append(step)
  }

  /// Each key is left to the last change of it.
  consuming func merged() -> [Step] {
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
