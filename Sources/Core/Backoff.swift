/// How long to wait before each try: the first at once, then doubling up to a limit, with full jitter.
///
/// After "Exponential Backoff And Jitter" (AWS Architecture Blog): a random wait below the step spreads the herd.
public struct Backoff: Sendable {
  /// The step of the second try, in seconds.
  public let firstSeconds: Double
  /// No step is longer than this, in seconds.
  public let limitSeconds: Double
  private var tries = 0

  public init(firstSeconds: Double = 0.1, limitSeconds: Double = 10) {
    self.firstSeconds = firstSeconds
    self.limitSeconds = limitSeconds
  }

  /// The wait before the next try, in seconds. `random` is in 0..<1.
  public mutating func next(random: Double = .random(in: 0..<1)) -> Double {
    defer { tries += 1 }
    if tries == 0 { return 0 }
    var step = firstSeconds
    for _ in 1..<min(tries, 40) where step < limitSeconds { step *= 2 }
    // Never below half a step: a wait of nearly nothing, again and again, is a spin.
    return min(step, limitSeconds) * (0.5 + random / 2)
  }

  /// After a success: the next try is the first again.
  public mutating func reset() {
    tries = 0
  }
}
