internal import Dispatch
internal import Glibc

/// One thing that is measured: `prepare` makes ready for so many rounds, and gives what does them, or some of them.
struct Part {
  let name: String
  let count: Int
  let prepare: (Int) throws -> (Int) throws -> Void

  init(_ name: String, count: Int, _ prepare: @escaping (Int) throws -> (Int) throws -> Void) {
    self.name = name
    self.count = count
    self.prepare = prepare
  }

  /// Of one round, at best of five: nanoseconds of CPU, of all threads; and allocations, where they are counted.
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

  /// Makes ready for so many rounds and does some of them, for somebody outside who counts.
  func run(_ rounds: Int, prepared count: Int) throws {
    try prepare(count)(rounds)
  }
}

/// What is made when it is first wanted: others need not wait for it.
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

/// Waits for what is asynchronous.
func waiting(for body: @escaping @Sendable () async -> Void) {
  let done = DispatchSemaphore(value: 0)
  Task.detached {
    await body()
    done.signal()
  }
  done.wait()
}

/// The CPU time of this process.
private func cpuNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Of a library that is loaded before all others, if it is: see `allocations.c`.
private let allocationCount: (@convention(c) () -> UInt64)? = dlsym(nil, "allocation_count").map {
  unsafeBitCast($0, to: (@convention(c) () -> UInt64).self)
}
