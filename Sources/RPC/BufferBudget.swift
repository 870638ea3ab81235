public import Core
internal import Synchronization

/// Something that a caller makes the server hold: a connection, a watch, a call. On its worker's thread only.
public protocol BufferHolder: AnyObject {
  /// How many, as they were last counted.
  var bufferedByteCount: Int { get }

  /// Lets go of them, whatever that costs the peer: all together are too many, and these are among the most.
  func giveUpBuffers()
}

/// The bytes that callers make all workers hold together, and their bound: connections and open calls themselves,
/// replies that peers do not take, requests that are not whole yet, what watches have still to be told. What each of
/// them is charged, and why, is in `docs/limits.md`.
///
/// Each worker counts its own, and adds that to the sum once it has moved by a step: so the sum may be wrong by a step
/// for each worker, and counting costs no atomic addition.
public final class BufferBudget: Sendable {
  /// Bytes. Above it new connections, watches and waiting calls are refused, and who holds the most loses it.
  public let limit: Int
  let step: Int
  private let sum = Atomic<Int>(0)
  private let byClass = Locked([Int](repeating: 0, count: classCount))
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
    let message = "more than \(limit) bytes are buffered on this server for slow clients"
    reached(message)
    throw RPCStatus(
      .resourceExhausted, "\(message): use another server, or try again later", detail: .retry(afterSeconds: 1))
  }

  /// A worker holds so many bytes more, or fewer; and in each size class.
  fileprivate func add(_ change: Int, byClass changes: [Int]) {
    byClass.withLock { byClass in
      for (sizeClass, change) in changes.enumerated() { byClass[sizeClass] += change }
    }
    let sum = sum.wrappingAdd(change, ordering: .relaxed).newValue
    if change > 0, sum > limit { askAgain() }
  }

  /// Has the workers look what they have to take, or go on with it.
  fileprivate func askAgain() {
    for shed in accounts.withLock({ $0 }) { shed() }
  }

  /// What must go so that there is room again for a while.
  fileprivate struct Excess {
    /// All that is held in the size classes above this one must go,
    let sizeClass: Int
    /// and this part of what is held in it.
    let share: Double
  }

  /// Nil if there is room.
  fileprivate var excess: Excess? {
    let sum = sum.load(ordering: .relaxed)
    guard sum > limit else { return nil }
    var rest = sum - limit / 4 * 3
    let byClass = byClass.withLock { $0 }
    for sizeClass in byClass.indices.reversed() where byClass[sizeClass] > 0 {
      if byClass[sizeClass] >= rest {
        return Excess(sizeClass: sizeClass, share: Double(rest) / Double(byClass[sizeClass]))
      }
      rest -= byClass[sizeClass]
    }
    return Excess(sizeClass: 0, share: 1)
  }

  /// Sizes of holders, in classes: each holds sizes up to four times those of the one before.
  fileprivate static let classCount = Int.bitWidth / 2

  fileprivate static func sizeClass(_ bytes: Int) -> Int {
    (Int.bitWidth - 1 - max(1, bytes).leadingZeroBitCount) / 2
  }
}

/// One worker's part of a ``BufferBudget``. On its thread only.
public final class BufferAccount {
  public let budget: BufferBudget
  /// By size class, so that the largest holders are found without a look at the others.
  private var holders = [[ObjectIdentifier: any BufferHolder]](repeating: [:], count: BufferBudget.classCount)
  private var held = 0
  private var heldByClass = [Int](repeating: 0, count: BufferBudget.classCount)
  /// What the budget knows of it.
  private var told = 0
  private var toldByClass = [Int](repeating: 0, count: BufferBudget.classCount)
  /// Bytes that are still to be taken from holders since the limit was last passed, and their lowest size class.
  private var owed = 0
  private var owedClass = 0

  public init(_ budget: BufferBudget) {
    self.budget = budget
  }

  /// `holder` holds so many bytes, and did hold so many. It must come to hold none before it goes.
  public func change(_ holder: any BufferHolder, from old: Int, to new: Int) {
    let (oldClass, newClass) = (BufferBudget.sizeClass(old), BufferBudget.sizeClass(new))
    if old == 0 || new == 0 || oldClass != newClass {
      if old > 0 { holders[oldClass][ObjectIdentifier(holder)] = nil }
      if new > 0 { holders[newClass][ObjectIdentifier(holder)] = holder }
    }
    heldByClass[oldClass] -= old
    heldByClass[newClass] += new
    held += new - old
    if abs(held - told) >= budget.step { tell() }
  }

  private func tell() {
    let change = held - told
    told = held
    let changes = zip(heldByClass, toldByClass).map { $0 - $1 }
    toldByClass = heldByClass
    budget.add(change, byClass: changes)
  }

  /// If there is too much of everybody's: takes it from those that hold the most, of all workers; what is of about the
  /// same size is taken from each worker by its share.
  ///
  /// A bounded number of them at a time; where that is not enough, it is called again.
  public func shed() {
    if owed <= 0, let excess = budget.excess {
      owedClass = excess.sizeClass
      let share = excess.share * Double(heldByClass[owedClass])
      owed = heldByClass[(owedClass + 1)...].reduce(0, +) + (share > 0 ? Int(share) + 1 : 0)
    }
    guard owed > 0 else { return }
    let largest = largestHolders()
    for holder in largest where owed > 0 {
      let before = held
      // One that was before it may have taken it along.
      guard holder.bufferedByteCount > 0 else { continue }
      holder.giveUpBuffers()
      owed -= before - held
    }
    if largest.count < Self.holdersPerTurn { owed = 0 }
    tell()
    if owed > 0 { budget.askAgain() }
  }

  /// A bounded number of holders, those that hold the most first.
  private func largestHolders() -> [any BufferHolder] {
    var largest: [any BufferHolder] = []
    for holders in holders[owedClass...].reversed() where !holders.isEmpty {
      let some = holders.values.prefix(Self.holdersPerTurn - largest.count)
      largest += some.sorted { $0.bufferedByteCount > $1.bufferedByteCount }
      if largest.count == Self.holdersPerTurn { break }
    }
    return largest
  }

  /// Holders that lose what they hold in one iteration of the worker's loop: the others want to be served too.
  private static let holdersPerTurn = 128
}
