internal import Core

/// Who is asked for a sign of life when, and which PINGs of a client are too many. A state machine: it sends nothing.
struct Keepalive {
  enum Action: Equatable {
    case none
    /// Ask for a sign of life.
    case ping
    /// None has come.
    case close
  }

  private let limits: GRPCLimits
  private var lastHeard: MonotonicTime
  private var asked: MonotonicTime?
  private var lastPing: MonotonicTime?
  private var strikes = 0

  init(limits: GRPCLimits, now: MonotonicTime) {
    self.limits = limits
    lastHeard = now
  }

  /// Bytes came: the client is there.
  mutating func heard(_ now: MonotonicTime) {
    lastHeard = now
    asked = nil
  }

  mutating func tick(_ now: MonotonicTime) -> Action {
    if let asked { return now.seconds(since: asked) >= limits.keepaliveTimeoutSeconds ? .close : .none }
    guard now.seconds(since: lastHeard) >= limits.keepaliveSeconds else { return .none }
    asked = now
    return .ping
  }

  /// The client sent a PING. True if it has sent too many.
  mutating func pinged(_ now: MonotonicTime) -> Bool {
    defer { lastPing = now }
    guard let lastPing, now.seconds(since: lastPing) < limits.pingIntervalSeconds else { return false }
    strikes += 1
    return strikes > limits.pingStrikes
  }

  /// Something of a reply was sent: PINGs that measure how quickly it gets through are welcome.
  mutating func replied() {
    strikes = 0
    lastPing = nil
  }
}
