internal import Core
internal import Glibc

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
    if changes.count > 64 {
      // Not under the lock, which readers take: only one changes the lists, at a time.
      var state = state.withLock { $0 }
      state.sequence = sequence
      applyMany(changes, &state)
      self.state.withLock { $0 = state }
      return
    }
    state.withLock { state in
      state.sequence = sequence
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

  /// One by one costs a move of the rest each: many at once are put in order and merged. Of a key there is one change.
  private func applyMany(_ changes: [Change], _ state: inout State) {
    let changes = changes.compactMap { change in (change.new ?? change.old).map { (key: $0.key, new: change.new) } }
      .sorted { isBefore($0.key, $1.key) }
    var merged: [Answer] = []
    merged.reserveCapacity(state.all.count + changes.count)
    var next = 0
    for change in changes {
      while next < state.all.count, isBefore(state.all[next].key, change.key) {
        merged.append(state.all[next])
        next += 1
      }
      if next < state.all.count, state.all[next].key == change.key { next += 1 }
      if let new = change.new { merged.append(new) }
    }
    merged += state.all[next...]
    state.all = merged
    state.lists = [:]
    for answer in merged {
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
  let order = memcmp(left.bytes, right.bytes, min(left.bytes.count, right.bytes.count))
  if order != 0 { return order < 0 }
  if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
  return left.space < right.space
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
