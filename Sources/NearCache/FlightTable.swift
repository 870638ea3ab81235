/// The fetches that are under way, and who waits for each. A value; its owner guards it.
struct FlightTable<Answer: Sendable>: Sendable {
  typealias Waiter = CheckedContinuation<Answer, any Error>

  private struct Flight: Sendable {
    let key: CacheKey
    let startedAt: UInt64
    var waiters: [UInt64: Waiter] = [:]
    /// Somebody waits, or it goes on for the cache's own sake.
    var isWanted: Bool
    var task: Task<Void, Never>?
  }

  private var flights: [UInt64: Flight] = [:]
  /// The one that further questions join, and whose answer is stored.
  private var current: [CacheKey: UInt64] = [:]
  /// The flight that each waits for.
  private var places: [UInt64: UInt64] = [:]
  private var lastID: UInt64 = 0

  mutating func nextID() -> UInt64 {
    lastID += 1
    return lastID
  }

  /// The fetch of a key that can be joined.
  func flight(_ key: CacheKey) -> UInt64? { current[key] }

  /// - Parameter isForCache: it goes on if nobody waits.
  mutating func begin(_ key: CacheKey, at time: UInt64, isForCache: Bool) -> UInt64 {
    let id = nextID()
    flights[id] = Flight(key: key, startedAt: time, isWanted: isForCache)
    current[key] = id
    return id
  }

  /// The flight may have ended already.
  mutating func setTask(_ flight: UInt64, _ task: Task<Void, Never>) {
    flights[flight]?.task = task
  }

  mutating func join(_ flight: UInt64, _ id: UInt64, _ waiter: Waiter) {
    flights[flight]?.waiters[id] = waiter
    places[id] = flight
  }

  /// A waiter does not wait any more. Gives it, and the task that nobody wants any more.
  mutating func leave(_ id: UInt64) -> (waiter: Waiter, task: Task<Void, Never>?)? {
    guard let number = places.removeValue(forKey: id), let flight = flights[number],
      let waiter = flights[number]?.waiters.removeValue(forKey: id)
    else { return nil }
    guard flight.waiters.count == 1, !flight.isWanted else { return (waiter, nil) }
    // Who asks next shall not join what is being cancelled.
    if current[flight.key] == number { current[flight.key] = nil }
    return (waiter, flight.task)
  }

  /// A fetch has ended. Nil for `startedAt` if its answer must not be stored.
  mutating func end(_ id: UInt64) -> (waiters: [Waiter], startedAt: UInt64?) {
    guard let flight = flights.removeValue(forKey: id) else { return ([], nil) }
    for waiter in flight.waiters.keys { places[waiter] = nil }
    let isCurrent = current[flight.key] == id
    if isCurrent { current[flight.key] = nil }
    return (Array(flight.waiters.values), isCurrent ? flight.startedAt : nil)
  }

  /// What is under way for these keys is not stored, and not joined. Gives how many there were.
  mutating func overtake(_ isWanted: (CacheKey) -> Bool) -> Int {
    guard !current.isEmpty else { return 0 }
    let overtaken = current.keys.filter(isWanted)
    for key in overtaken { current[key] = nil }
    return overtaken.count
  }
}
