// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import TestSupport

/// A thread that a test runs in the background. An error that its body throws is thrown by ``finish()``.
public final class Background {
  private let thread: OSThread
  private let failure: Locked<String?>
  private var isJoined = false

  /// Starts the thread.
  ///
  /// - Parameters:
  ///   - name: the name of the thread.
  ///   - body: the work of the thread.
  public init(_ name: String, _ body: @escaping @Sendable () throws -> Void) {
    let failure = Locked<String?>(nil)
    self.failure = failure
    thread = OSThread(name: name) {
      do { try body() } catch { failure.withLock { $0 = "\(error)" } }
    }
  }

  deinit {
    if !isJoined { thread.join() }
  }

  /// Waits for the end of the thread.
  ///
  /// - Throws: a ``TestFailure`` with the text of the error that the body has thrown.
  public func finish() throws {
    guard !isJoined else { return }
    thread.join()
    isJoined = true
    if let text = failure.withLock({ $0 }) { throw TestFailure(text) }
  }
}

/// Transfers a value that is not `Sendable` to another thread, once.
public final class Handed<Value>: @unchecked Sendable {
  // Safe to share: only the one thread that takes the value has it.
  private var value: Value?

  /// Wraps a value.
  ///
  /// - Parameter value: the value, which the caller must not use any more.
  public init(_ value: Value) { self.value = value }

  /// Takes the value.
  ///
  /// - Returns: the value.
  /// - Throws: ``TestFailure`` if it has been taken before.
  public func take() throws -> Value {
    guard let taken = value else { throw TestFailure("taken twice") }
    value = nil
    return taken
  }
}

/// A flag that is set once, from any thread.
public final class Switch: Sendable {
  private let state = Locked(false)

  /// Makes a flag that is not set.
  public init() {}

  /// Whether the flag is set.
  public var isOn: Bool { state.withLock { $0 } }
  /// Sets the flag.
  public func turnOn() { state.withLock { $0 = true } }
}
