internal import Network
internal import RPC

/// What a loop counts about frames and calls.
public enum FramedCounter: Int, Sendable, CaseIterable {
  case framesReceived
  case framesSent
  case streamsOpened
  case streamsEnded
  /// Connections ended with a `go_away` that names what the client did wrong.
  case protocolErrors
}

/// The counters of one loop: ``FramedCounter``, then the ended calls by status.
struct FramedCounters: Sendable {
  private let table = CounterTable(count: FramedCounter.allCases.count + RPCStatus.Code.allCases.count)

  /// Only on the loop's thread.
  func add(_ counter: FramedCounter) {
    table.add(to: counter.rawValue)
  }

  /// Only on the loop's thread.
  func addCall(_ code: RPCStatus.Code) {
    table.add(to: FramedCounter.allCases.count + Int(code.rawValue))
  }

  func read(_ counter: FramedCounter) -> UInt64 {
    table.read(counter.rawValue)
  }

  func readCalls(_ code: RPCStatus.Code) -> UInt64 {
    table.read(FramedCounter.allCases.count + Int(code.rawValue))
  }
}
