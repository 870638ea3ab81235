// SPDX-License-Identifier: Apache-2.0
internal import CLinux
public import Glibc

/// A value that can be accessed only under its lock.
///
/// It uses a `pthread_mutex_t` and not `Synchronization.Mutex`, because ThreadSanitizer supports the former, and
/// because it needs a condition variable. Guard values, not references: return what is to be done, and do it after the
/// lock has been released.
public final class Locked<Value: Sendable>: @unchecked Sendable {
  // Safe to share: `value` is read and written only between lock and unlock of `mutex`, which never moves.
  @usableFromInline let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  @usableFromInline var value: Value

  /// Creates a lock around a value.
  ///
  /// - Parameter value: the initial value.
  public init(_ value: Value) {
    self.value = value
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    condition = .allocate(capacity: 1)
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deallocate()
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Runs a closure with the value while holding the lock. Must not be nested.
  ///
  /// - Parameter body: the closure, which may modify the value.
  /// - Returns: the closure's result.
  /// - Throws: the closure's error.
  @inlinable
  public func withLock<Result, Failure: Error>(
    _ body: (inout Value) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }

  /// Wakes every thread that waits in ``wait(until:_:)`` or ``waitForEver(_:)``.
  public func signal() {
    pthread_cond_broadcast(condition)
  }

  /// Waits until a closure returns a value. The closure is called at the start, at each ``signal()`` and at the
  /// deadline, with the lock held.
  ///
  /// - Parameters:
  ///   - deadline: the end of the wait.
  ///   - body: the closure; nil continues the wait.
  /// - Returns: the closure's value; nil if the deadline passed without one.
  public func wait<Result>(until deadline: MonotonicTime, _ body: (inout Value) -> Result?) -> Result? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&value) { return result }
      if configlookup_wait_until(condition, mutex, deadline.nanoseconds) == ETIMEDOUT { return body(&value) }
    }
  }

  /// Waits until a closure returns a value. The closure is called at the start and at each ``signal()``, with the lock
  /// held.
  ///
  /// - Parameter body: the closure; nil continues the wait.
  /// - Returns: the closure's value.
  public func waitForEver<Result>(_ body: (inout Value) -> Result?) -> Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&value) { return result }
      pthread_cond_wait(condition, mutex)
    }
  }
}
