internal import Core

/// Answers in order of key: all of them, and those of each list. Any thread.
///
/// Arrays that are copied only if a reader still holds one while the cache changes it.
final class Listings: Sendable {
  private struct State: Sendable {
    var sequence: UInt64 = 0
    var all: [Answer] = []
    var lists: [String: [Answer]] = [:]
  }

  struct Change {
    let old: Answer?
    let new: Answer?
  }

  private let state = Locked(State())

  /// Every answer, and the sequence number of the last change that is in it.
  var all: (answers: [Answer], sequence: UInt64) {
    state.withLock { ($0.all, $0.sequence) }
  }

  var count: Int {
    state.withLock { $0.all.count }
  }

  func list(_ name: String) -> [Answer] {
    state.withLock { $0.lists[name] ?? [] }
  }

  /// Applies changes of answers, which are from then on counted as those of `sequence`.
  func apply(_ changes: [Change], sequence: UInt64) {
    state.withLock { state in
      state.sequence = sequence
      if changes.count > 64 {
        applyMany(changes, &state)
        return
      }
      for change in changes {
        update(&state.all, change.old, change.new)
        for name in Set((change.old?.entry.listings ?? []) + (change.new?.entry.listings ?? [])) {
          let old = change.old.flatMap { $0.entry.listings.contains(name) ? $0 : nil }
          let new = change.new.flatMap { $0.entry.listings.contains(name) ? $0 : nil }
          update(&state.lists[name, default: []], old, new)
          if state.lists[name]?.isEmpty == true { state.lists[name] = nil }
        }
      }
    }
  }

  /// One by one costs a move of the rest each: for many at once, everything is put in order again.
  private func applyMany(_ changes: [Change], _ state: inout State) {
    var answers: [LookupKey: Answer] = [:]
    answers.reserveCapacity(state.all.count + changes.count)
    for answer in state.all { answers[answer.key] = answer }
    for change in changes {
      if let old = change.old { answers[old.key] = nil }
      if let new = change.new { answers[new.key] = new }
    }
    state.all = answers.values.sorted { isBefore($0.key, $1.key) }
    state.lists = [:]
    for answer in state.all {
      for name in answer.entry.listings { state.lists[name, default: []].append(answer) }
    }
  }

  private func update(_ list: inout [Answer], _ old: Answer?, _ new: Answer?) {
    // In two steps: of `(new ?? old)?.key` the optimiser of Swift 6.3.1 dies.
    guard let answer = new ?? old else { return }
    let key = answer.key
    let place = list.firstPlace(notBefore: key)
    let isThere = place < list.count && list[place].key == key
    switch (isThere, new) {
    case (true, let new?): list[place] = new
    case (true, nil): list.remove(at: place)
    case (false, let new?): list.insert(new, at: place)
    case (false, nil): break
    }
  }
}

/// The order of lists: by bytes, then by space.
func isBefore(_ left: LookupKey, _ right: LookupKey) -> Bool {
  if left.bytes == right.bytes { return left.space < right.space }
  return left.bytes.lexicographicallyPrecedes(right.bytes)
}

extension [Answer] {
  /// The index of the first answer whose key is not before `key`, of answers in order of key.
  public func firstPlace(notBefore key: LookupKey) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle].key, key) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
