// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Decides when a keepalive PING is sent, and which PINGs of a client are too frequent. It is a state machine and sends
/// nothing itself.
struct Keepalive {
  enum Action: Equatable {
    case none
    /// Send a keepalive PING.
    case ping
    /// Close the connection, because the PING was not acknowledged.
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

  /// Records that bytes were received from the client.
  mutating func heard(_ now: MonotonicTime) {
    lastHeard = now
    asked = nil
  }

  mutating func tick(_ now: MonotonicTime) -> Action {
    if let asked { return now.duration(since: asked) >= limits.keepaliveTimeout ? .close : .none }
    guard now.duration(since: lastHeard) >= limits.keepaliveTime else { return .none }
    asked = now
    return .ping
  }

  /// Records a PING of the client. Returns whether the client has sent too many.
  mutating func pinged(_ now: MonotonicTime) -> Bool {
    defer { lastPing = now }
    guard let lastPing, now.duration(since: lastPing) < limits.minimumPingInterval else { return false }
    strikes += 1
    return strikes > limits.pingStrikes
  }

  /// Records that a part of a reply was sent. PINGs that measure the bandwidth of a transfer are allowed.
  mutating func replied() {
    strikes = 0
    lastPing = nil
  }
}
