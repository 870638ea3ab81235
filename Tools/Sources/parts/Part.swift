// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc

/// A measured operation. `prepare` prepares a number of rounds, and returns a function that runs at most that many of
/// them.
struct Part {
  let name: String
  let count: Int
  let prepare: (Int) throws -> (Int) throws -> Void

  init(_ name: String, count: Int, _ prepare: @escaping (Int) throws -> (Int) throws -> Void) {
    self.name = name
    self.count = count
    self.prepare = prepare
  }

  /// Measures the part six times, and returns the lowest cost of one round.
  ///
  /// - Returns: the CPU time of all threads in nanoseconds, and the number of allocations, which is nil if no library
  ///   counts them.
  func measure() throws -> (nanoseconds: Double, allocations: Double?) {
    var best = (nanoseconds: Double.infinity, allocations: Double.infinity)
    for _ in 0..<6 {
      let run = try prepare(count)
      let (start, before) = (cpuNanoseconds(), allocationCount?() ?? 0)
      try run(count)
      let (end, after) = (cpuNanoseconds(), allocationCount?() ?? 0)
      best.nanoseconds = min(best.nanoseconds, Double(end - start) / Double(count))
      best.allocations = min(best.allocations, Double(after - before) / Double(count))
    }
    return (best.nanoseconds, allocationCount == nil ? nil : best.allocations)
  }

  /// Prepares `count` rounds and runs `rounds` of them, while an external tool counts instructions.
  func run(_ rounds: Int, prepared count: Int) throws {
    try prepare(count)(rounds)
  }
}

/// A value that is created at its first use, so that parts that do not use it need not wait for it.
final class OnDemand<Value> {
  private let make: () throws -> Value
  private var made: Value?

  init(_ make: @escaping () throws -> Value) { self.make = make }

  func value() throws -> Value {
    if let made { return made }
    let value = try make()
    made = value
    return value
  }
}

/// Runs an asynchronous function, and blocks the calling thread until it returns.
func waiting(for body: @escaping @Sendable () async -> Void) {
  let done = DispatchSemaphore(value: 0)
  Task.detached {
    await body()
    done.signal()
  }
  done.wait()
}

/// The CPU time of all threads of this process, in nanoseconds.
private func cpuNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Returns the number of allocations so far; nil unless the counting library is preloaded. See `allocations.c`.
private let allocationCount: (@convention(c) () -> UInt64)? = dlsym(nil, "allocation_count").map {
  unsafeBitCast($0, to: (@convention(c) () -> UInt64).self)
}
