// SPDX-License-Identifier: Apache-2.0
internal import CXXHash
internal import ChangeStreamCache

/// The watches of one worker that have equal filters. On its worker's thread only.
final class WatchAudience {
  let filter: WatchFilter
  fileprivate let scope: Int
  fileprivate let number: UInt32
  /// The position in the table of each item of the filter.
  fileprivate var places: [UInt32] = []
  private(set) var sessions: [WatchSession] = []
  /// The watch to which the filter's memory is charged: one of ``sessions``.
  private(set) weak var payer: WatchSession?

  fileprivate init(_ filter: WatchFilter, scope: Int, number: UInt32) {
    self.filter = filter
    self.scope = scope
    self.number = number
  }

  /// The memory of the filter, including its entries in the index.
  var byteCount: Int { filter.byteCount + filter.itemCount * WatchItemTable.entryByteCount }

  func add(_ session: WatchSession) {
    session.placeInAudience = sessions.count
    sessions.append(session)
    if payer == nil { payer = session }
  }

  /// Removes a session. The last session takes its index.
  func remove(_ session: WatchSession) {
    let place = session.placeInAudience
    guard place < sessions.count, sessions[place] === session else { return }
    let last = sessions.removeLast()
    if last !== session {
      sessions[place] = last
      last.placeInAudience = place
    }
    guard payer === session else { return }
    payer = sessions.last
    payer?.countBuffers()
  }
}

/// Finds the watches that want an answer. The time depends on the length of the answer's key and on the number of these
/// watches, not on the number of all watches. On its worker's thread only.
struct WatchFilterIndex {
  /// The filters of one set of selectors.
  private struct Scope {
    let selectors: SelectorSet
    var everything: WatchAudience?
    var audienceCount = 0
    var keyCount = 0
    /// The number of prefixes of each length.
    var prefixCounts: [Int] = []
  }

  private let seed = UInt64.random(in: .min ... .max)
  private var scopes: [Scope] = []
  private var audiences: [WatchAudience?] = []
  private var freeNumbers: [UInt32] = []
  private var byContent: [UInt64: [WatchAudience]] = [:]
  private var table = WatchItemTable()
  /// Audiences without sessions, whose items are still in the table.
  private var retired: [WatchAudience] = []

  /// The number of keys and prefixes in the index.
  var itemCount: Int { table.count }

  /// The audience whose filter is equal to this one. It is created if there is none.
  mutating func audience(for filter: WatchFilter) -> WatchAudience {
    let hash = filter.contentHash
    if let known = byContent[hash]?.first(where: { $0.filter.isEqual(to: filter) }) { return known }
    let scope = scope(of: filter.selectors)
    let number = freeNumbers.popLast() ?? UInt32(audiences.count)
    let audience = WatchAudience(filter, scope: scope, number: number)
    if Int(number) == audiences.count { audiences.append(audience) } else { audiences[Int(number)] = audience }
    byContent[hash, default: []].append(audience)
    scopes[scope].audienceCount += 1
    if filter.isUnrestricted {
      scopes[scope].everything = audience
      return audience
    }
    audience.places.reserveCapacity(filter.itemCount)
    for item in 0..<filter.itemCount {
      filter.withItem(item) { bytes in
        count(bytes.count, isPrefix: filter.isPrefix(item), by: 1, in: scope)
        let hash = self.hash(bytes, isPrefix: filter.isPrefix(item), scope)
        audience.places.append(UInt32(table.insert(hash, audience: number, item: UInt32(item))))
      }
    }
    return audience
  }

  /// Retires an audience that has no sessions any more: its filter does not find it from now on, and ``prune(_:)``
  /// removes its items.
  mutating func retire(_ audience: WatchAudience) {
    let hash = audience.filter.contentHash
    byContent[hash]?.removeAll { $0 === audience }
    if byContent[hash]?.isEmpty == true { byContent[hash] = nil }
    if scopes[audience.scope].everything === audience { scopes[audience.scope].everything = nil }
    retired.append(audience)
  }

  /// Removes at most `limit` items of retired audiences.
  ///
  /// - Returns: whether there was anything to remove.
  mutating func prune(_ limit: Int) -> Bool {
    guard let audience = retired.last else { return false }
    let filter = audience.filter
    for _ in 0..<limit {
      guard let place = audience.places.popLast() else {
        retired.removeLast()
        audiences[Int(audience.number)] = nil
        freeNumbers.append(audience.number)
        scopes[audience.scope].audienceCount -= 1
        return true
      }
      let item = audience.places.count
      filter.withItem(item) { count($0.count, isPrefix: filter.isPrefix(item), by: -1, in: audience.scope) }
      if let moved = table.remove(at: Int(place)) {
        audiences[Int(moved.audience)]?.places[Int(moved.item)] = place
      }
    }
    return true
  }

  /// Appends the audiences that want an answer, each once.
  func collect(_ entity: ServedEntity, _ key: LookupKey, into found: inout [WatchAudience]) {
    for (number, scope) in scopes.enumerated() where scope.audienceCount > 0 {
      guard scope.selectors.contains(entity, space: key.space) else { continue }
      if let everything = scope.everything { found.append(everything) }
      key.bytes.withUnsafeBytes { bytes in
        if scope.keyCount > 0 { collect(bytes, isPrefix: false, number, into: &found) }
        for length in 1..<max(1, min(scope.prefixCounts.count, bytes.count + 1)) where scope.prefixCounts[length] > 0 {
          collect(UnsafeRawBufferPointer(rebasing: bytes[..<length]), isPrefix: true, number, into: &found)
        }
      }
    }
  }

  /// Appends the audiences that want any answer of an entity.
  func collect(_ entity: ServedEntity, into found: inout [WatchAudience]) {
    for case let audience? in audiences where audience.filter.selectors.contains(entity) { found.append(audience) }
  }

  private func collect(
    _ bytes: UnsafeRawBufferPointer, isPrefix: Bool, _ scope: Int, into found: inout [WatchAudience]
  ) {
    table.forEach(hash(bytes, isPrefix: isPrefix, scope)) { number, item in
      guard let audience = audiences[Int(number)], !audience.sessions.isEmpty, audience.scope == scope,
        audience.filter.isPrefix(Int(item)) == isPrefix,
        audience.filter.withItem(Int(item), { $0.elementsEqual(bytes) })
      else { return }
      found.append(audience)
    }
  }

  private func hash(_ bytes: UnsafeRawBufferPointer, isPrefix: Bool, _ scope: Int) -> UInt32 {
    UInt32(
      truncatingIfNeeded: XXH3_64bits_withSeed(
        bytes.baseAddress, bytes.count, seed &+ UInt64(scope) << 1 &+ (isPrefix ? 1 : 0)))
  }

  private mutating func scope(of selectors: SelectorSet) -> Int {
    if let known = scopes.firstIndex(where: { $0.selectors == selectors }) { return known }
    scopes.append(Scope(selectors: selectors))
    return scopes.count - 1
  }

  private mutating func count(_ length: Int, isPrefix: Bool, by change: Int, in scope: Int) {
    guard isPrefix else { return scopes[scope].keyCount += change }
    if scopes[scope].prefixCounts.count <= length {
      scopes[scope].prefixCounts += Array(repeating: 0, count: length + 1 - scopes[scope].prefixCounts.count)
    }
    scopes[scope].prefixCounts[length] += change
  }
}
