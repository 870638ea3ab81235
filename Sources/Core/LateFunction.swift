/// A function that is set later than it is known to those who call it, and may be taken away again. Any thread.
///
/// Not a `Locked` of the function itself: each access to a function through a generic `inout` wraps it once more, so
/// that it gets slower, and larger, with every call.
public final class LateFunction<Argument, Result>: Sendable {
  private struct Holder: Sendable {
    var function: (@Sendable (Argument) -> Result)?
  }

  private let holder = Locked(Holder())

  public init() {}

  /// What is called from now on; nil: nothing.
  public func set(_ function: (@Sendable (Argument) -> Result)?) {
    holder.withLock { $0.function = function }
  }

  /// Nil where nothing is set. The lock is free while the function runs.
  public func callAsFunction(_ argument: Argument) -> Result? {
    holder.withLock { $0.function }?(argument)
  }
}

extension LateFunction where Argument == Void {
  public func callAsFunction() -> Result? { self(()) }
}
