// SPDX-License-Identifier: Apache-2.0
/// The fetches that are in progress, and the callers that wait for each. A value type that its owner protects by a
/// lock.
struct FlightTable<Answer: Sendable>: Sendable {
  typealias Waiter = CheckedContinuation<Answer, any Error>

  private struct Flight: Sendable {
    let key: CacheKey
    let startedAt: UInt64
    var waiters: [UInt64: Waiter] = [:]
    /// Whether the fetch goes on although no caller waits, because it refreshes the cache.
    var isWanted: Bool
    var task: Task<Void, Never>?
  }

  private var flights: [UInt64: Flight] = [:]
  /// The fetch of each key that further callers join, and whose answer is stored.
  private var current: [CacheKey: UInt64] = [:]
  /// The fetch for which each caller waits.
  private var places: [UInt64: UInt64] = [:]
  private var lastID: UInt64 = 0

  mutating func nextID() -> UInt64 {
    lastID += 1
    return lastID
  }

  /// The fetch of a key that can be joined; nil if there is none.
  func flight(_ key: CacheKey) -> UInt64? { current[key] }

  /// Begins a fetch.
  ///
  /// - Parameter isForCache: whether it goes on if no caller waits.
  mutating func begin(_ key: CacheKey, at time: UInt64, isForCache: Bool) -> UInt64 {
    let id = nextID()
    flights[id] = Flight(key: key, startedAt: time, isWanted: isForCache)
    current[key] = id
    return id
  }

  /// Sets the task of a fetch. Has no effect if the fetch has ended already.
  mutating func setTask(_ flight: UInt64, _ task: Task<Void, Never>) {
    flights[flight]?.task = task
  }

  mutating func join(_ flight: UInt64, _ id: UInt64, _ waiter: Waiter) {
    flights[flight]?.waiters[id] = waiter
    places[id] = flight
  }

  /// Removes a caller. Returns its continuation, and the task to cancel if no caller waits for it any more.
  mutating func leave(_ id: UInt64) -> (waiter: Waiter, task: Task<Void, Never>?)? {
    guard let number = places.removeValue(forKey: id), let flight = flights[number],
      let waiter = flights[number]?.waiters.removeValue(forKey: id)
    else { return nil }
    guard flight.waiters.count == 1, !flight.isWanted else { return (waiter, nil) }
    // A later caller must not join a fetch that is being cancelled.
    if current[flight.key] == number { current[flight.key] = nil }
    return (waiter, flight.task)
  }

  /// Ends a fetch. `startedAt` is nil if its answer must not be stored.
  mutating func end(_ id: UInt64) -> (waiters: [Waiter], startedAt: UInt64?) {
    guard let flight = flights.removeValue(forKey: id) else { return ([], nil) }
    for waiter in flight.waiters.keys { places[waiter] = nil }
    let isCurrent = current[flight.key] == id
    if isCurrent { current[flight.key] = nil }
    return (Array(flight.waiters.values), isCurrent ? flight.startedAt : nil)
  }

  /// Makes all fetches of certain keys obsolete: their answers are not stored, and no caller joins them. Returns their
  /// number.
  mutating func overtake(_ isWanted: (CacheKey) -> Bool) -> Int {
    guard !current.isEmpty else { return 0 }
    let overtaken = current.keys.filter(isWanted)
    for key in overtaken { current[key] = nil }
    return overtaken.count
  }
}
