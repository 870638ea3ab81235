internal import Core
internal import TestSupport

/// A thread that a test runs beside itself. What it throws, ``finish()`` throws.
package final class Background {
  private let thread: OSThread
  private let failure: Locked<String?>
  private var isJoined = false

  package init(_ name: String, _ body: @escaping @Sendable () throws -> Void) {
    let failure = Locked<String?>(nil)
    self.failure = failure
    thread = OSThread(name: name) {
      do { try body() } catch { failure.withLock { $0 = "\(error)" } }
    }
  }

  deinit {
    if !isJoined { thread.join() }
  }

  /// Waits for its end.
  package func finish() throws {
    guard !isJoined else { return }
    thread.join()
    isJoined = true
    if let text = failure.withLock({ $0 }) { throw TestFailure(text) }
  }
}

/// Hands a value that is no `Sendable` to another thread, once.
package final class Handed<Value>: @unchecked Sendable {
  // Safe to share: only the one thread that takes the value has it.
  private var value: Value?

  package init(_ value: Value) { self.value = value }

  package func take() throws -> Value {
    guard let taken = value else { throw TestFailure("taken twice") }
    value = nil
    return taken
  }
}

/// A switch that is turned once, from any thread.
package final class Switch: Sendable {
  private let state = Locked(false)

  package init() {}

  package var isOn: Bool { state.withLock { $0 } }
  package func turnOn() { state.withLock { $0 = true } }
}
