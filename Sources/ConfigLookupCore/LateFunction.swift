// SPDX-License-Identifier: Apache-2.0
/// A function that is set after its callers were created, and that can be removed again. Any thread may use it.
///
/// A `Locked` around the function itself would not do: each access to a function through a generic `inout` parameter
/// wraps it once more, so it would become slower and larger with every call.
public final class LateFunction<Argument, Result>: Sendable {
  private struct Holder: Sendable {
    var function: (@Sendable (Argument) -> Result)?
  }

  private let holder = Locked(Holder())

  /// Creates an instance without a function.
  public init() {}

  /// Sets the function.
  ///
  /// - Parameter function: the function for all later calls; nil for none.
  public func set(_ function: (@Sendable (Argument) -> Result)?) {
    holder.withLock { $0.function = function }
  }

  /// Calls the function. The lock is not held while the function runs.
  ///
  /// - Parameter argument: the argument of the function.
  /// - Returns: the function's result; nil if no function is set.
  public func callAsFunction(_ argument: Argument) -> Result? {
    holder.withLock { $0.function }?(argument)
  }
}

extension LateFunction where Argument == Void {
  /// Calls a function without an argument.
  ///
  /// - Returns: the function's result; nil if no function is set.
  public func callAsFunction() -> Result? { self(()) }
}
