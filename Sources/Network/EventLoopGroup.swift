internal import Core
internal import Glibc
public import RPC
public import TLS

/// The loops of a process. Started when made, to be stopped by its owner.
public final class EventLoopGroup: Sendable {
  public let loops: [EventLoop]
  /// Of what waits on all of them.
  public let buffers: BufferBudget
  /// Nil: malloc decides.
  private let memoryReturn: MemoryReturn?

  /// Starts `count` loops; by default one for each core that the process may use.
  ///
  /// - Parameter returnsMemory: whether memory that callers have let go of is returned to the system; for a process
  ///   whose memory is bounded.
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
    // Not weakly: to count references of what is held weakly takes twice as long, for good. `stop()` lets go.
    for loop in loops { buffers.onExcess { loop.shedBuffers() } }
  }

  /// Runs `body` on the last loop that comes round to it: if one hangs, never.
  public func whenAllTurn(_ body: @escaping @Sendable () -> Void) {
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

  /// Closes what lives on the loops and joins their threads. Not from one of them; once.
  public func stop() {
    memoryReturn?.stop()
    for loop in loops { loop.stop() }
    buffers.shedNoMore()
  }

  /// The sum of a counter over the loops.
  public func counter(_ counter: NetworkCounter) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.counters.read(counter.rawValue) }
  }

  /// How long the loops' turns took in which there was something to do: so long an event may have to wait.
  public var turnDurations: DurationCounts {
    loops.reduce(into: DurationCounts()) { $0 += $1.turnDurations }
  }

  /// How many handshakes came to nothing for this reason.
  public func handshakeFailures(_ reason: TLSFailure.Reason) -> UInt64 {
    loops.reduce(0) { $0 &+ $1.handshakeFailures.read(reason.index) }
  }
}
