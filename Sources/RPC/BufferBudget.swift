public import Core
internal import Synchronization

/// Somebody for whom bytes wait: a connection, a watch, a call. On its worker's thread only.
public protocol BufferHolder: AnyObject {
  /// How many, as they were last counted.
  var bufferedByteCount: Int { get }

  /// Lets go of them, whatever that costs the peer: all together are too many, and these are among the most.
  func giveUpBuffers()
}

/// The bytes that wait on all workers together, and their bound: replies that peers do not take, requests that are not
/// whole yet, what watches have still to be told.
///
/// Each worker counts its own, and adds that to the sum once it has moved by a step: so the sum may be wrong by a step
/// for each worker, and counting costs no atomic addition.
public final class BufferBudget: Sendable {
  /// Bytes. Above it new connections, watches and waiting calls are refused, and who holds the most loses it.
  public let limit: Int
  let step: Int
  private let sum = Atomic<Int>(0)
  private let report: LimitReport
  private let accounts = Locked<[@Sendable () -> Void]>([])

  public init(limit: Int = .max, report: LimitReport = LimitReport()) {
    self.limit = limit
    self.report = report
    step = min(limit / 64, 256 * 1024) + 1
  }

  /// How many bytes wait, but for what has not been added yet. Any thread.
  public var byteCount: Int { max(0, sum.load(ordering: .relaxed)) }

  /// Any thread.
  public var isExceeded: Bool { sum.load(ordering: .relaxed) > limit }

  /// Has `shed` called whenever the limit is passed, on whatever thread that is noticed.
  public func onExcess(_ shed: @escaping @Sendable () -> Void) {
    accounts.withLock { $0.append(shed) }
  }

  /// Calls nobody any more when the limit is passed. Any thread.
  public func shedNoMore() {
    accounts.withLock { $0 = [] }
  }

  /// Somebody was refused, or has lost what waited for it.
  public func reached(_ message: @autoclosure () -> String, peer: @autoclosure () -> String = "") {
    report.reached(.bufferedBytes, message(), peer: peer())
  }

  /// Throws where there is no room for more.
  public func requireRoom() throws(RPCStatus) {
    guard isExceeded else { return }
    let message = "more than \(limit) bytes wait on this server for slow callers"
    reached(message)
    throw RPCStatus(
      .resourceExhausted, "\(message): go to another, or try again later", detail: .retry(afterSeconds: 1))
  }

  fileprivate func add(_ change: Int) {
    let sum = sum.wrappingAdd(change, ordering: .relaxed).newValue
    if change > 0, sum > limit { for shed in accounts.withLock({ $0 }) { shed() } }
  }

  /// How much must go so that there is room again for a while, and of what; nil if there is room.
  fileprivate var excess: (bytes: Int, of: Int)? {
    let sum = sum.load(ordering: .relaxed)
    return sum > limit ? (sum - limit / 4 * 3, sum) : nil
  }
}

/// One worker's part of a ``BufferBudget``. On its thread only.
public final class BufferAccount {
  public let budget: BufferBudget
  private var holders: [ObjectIdentifier: any BufferHolder] = [:]
  private var held = 0
  /// What the budget knows of it.
  private var told = 0

  public init(_ budget: BufferBudget) {
    self.budget = budget
  }

  /// `holder` holds so many bytes, and did hold so many. It must come to hold none before it goes.
  public func change(_ holder: any BufferHolder, from old: Int, to new: Int) {
    if new == 0 {
      holders[ObjectIdentifier(holder)] = nil
    } else if old == 0 {
      holders[ObjectIdentifier(holder)] = holder
    }
    held += new - old
    if abs(held - told) >= budget.step { tell() }
  }

  private func tell() {
    let change = held - told
    told = held
    budget.add(change)
  }

  /// If there is too much of everybody's: takes this worker's share of it from those that hold the most.
  public func shed() {
    guard let excess = budget.excess, held > 0 else { return }
    var rest = Int(Double(excess.bytes) / Double(excess.of) * Double(held)) + 1
    for holder in holders.values.sorted(by: { $0.bufferedByteCount > $1.bufferedByteCount }) where rest > 0 {
      let before = held
      // One that was before it may have taken it along.
      guard holder.bufferedByteCount > 0 else { continue }
      holder.giveUpBuffers()
      rest -= before - held
    }
    tell()
  }
}
