// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
public import ConfigLookupRPC
public import ConfigLookupTLS
internal import Glibc

/// The event loops of a process. They start when the group is created, and must be stopped by its owner. The members
/// may be used from any thread.
public final class EventLoopGroup: Sendable {
  /// The event loops, by index.
  public let loops: [EventLoop]
  /// The limit on the bytes that are buffered on all event loops.
  public let buffers: BufferBudget
  /// Nil if malloc alone decides when memory is returned to the system.
  private let memoryReturn: MemoryReturn?

  /// Starts the event loops.
  ///
  /// - Parameters:
  ///   - count: The number of loops; nil for one for each CPU that is online.
  ///   - buffers: The limit on the bytes that are buffered on all loops.
  ///   - returnsMemory: Whether memory that was held for clients and has been released is returned to the system, for a
  ///     process with a memory limit.
  /// - Throws: If a loop cannot be created.
  public init(
    count: Int? = nil, buffers: BufferBudget = BufferBudget(), returnsMemory: Bool = false
  ) throws(NetworkError) {
    let count = count ?? max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    precondition(count > 0, "a group needs a loop")
    var loops: [EventLoop] = []
    do {
      for index in 0..<count { loops.append(try EventLoop(index: index, buffers: buffers)) }
    } catch {
      for loop in loops { loop.stop() }
      throw error
    }
    self.loops = loops
    memoryReturn = returnsMemory ? MemoryReturn(buffers) : nil
    self.buffers = buffers
    // The loops are captured strongly, because reference counting takes twice as long for an object with weak
    // references, permanently. `stop()` releases them.
    for loop in loops { buffers.onExcess { loop.shedBuffers() } }
  }

  /// Runs a function when all loops have come to it, on the last of them. It never runs if a loop hangs.
  ///
  /// - Parameter body: The function.
  public func afterIterationOfAll(_ body: @escaping @Sendable () -> Void) {
    let missing = Locked(loops.count)
    for loop in loops {
      loop.execute {
        let isLast = missing.withLock { missing in
          missing -= 1
          return missing == 0
        }
        if isLast { body() }
      }
    }
  }

  /// Closes everything that belongs to the loops, and waits for their threads to end. To be called once, and not on one
  /// of these threads.
  public func stop() {
    memoryReturn?.stop()
    for loop in loops { loop.stop() }
    buffers.shedNoMore()
  }

  /// Returns the sum of a counter over all loops.
  ///
  /// - Parameter counter: The counter.
  /// - Returns: The sum.
  public func counter(_ counter: NetworkCounter) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.counters.read(counter.rawValue) }
  }

  /// The durations of the loops' iterations in which there was work. An event may have to wait for one iteration.
  public var iterationDurations: DurationCounts {
    loops.reduce(into: DurationCounts()) { $0 += $1.iterationDurations }
  }

  /// Returns the number of failed handshakes over all loops.
  ///
  /// - Parameter reason: The reason for the failures.
  /// - Returns: The number of handshakes.
  public func handshakeFailures(_ reason: TLSFailure.Reason) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.handshakeFailures.read(reason.index) }
  }
}
