// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
internal import Synchronization

/// An object that holds server memory on behalf of a client, such as a connection, a watch or a waiting call.
///
/// It is used on its worker's thread only.
public protocol BufferHolder: AnyObject {
  /// Number of bytes that the object holds, as last counted.
  var bufferedByteCount: Int { get }

  /// Releases these bytes, whatever the consequence for the peer. It is called when the total exceeds the limit and
  /// this object is among the largest holders.
  func giveUpBuffers()
}

/// The limit on the bytes that all clients together make the workers hold.
///
/// It covers connections and open calls themselves, replies that peers have not accepted yet, requests that are not
/// complete yet, and the events that watches have still to send. `docs/reference/limits.md` lists what each of them is
/// charged, and why.
///
/// Each worker counts its own bytes, and adds a change to the sum only when it has reached one step. Therefore the sum
/// may differ from the true value by one step for each worker, and counting needs no atomic addition in most cases. The
/// members may be used from any thread.
public final class BufferBudget: Sendable {
  /// Maximum number of bytes. Above it new connections, watches and waiting calls are rejected, and the largest holders
  /// lose what they hold.
  public let limit: Int
  let step: Int
  private let sum = Atomic<Int>(0)
  private let byClass = Locked([Int](repeating: 0, count: classCount))
  private let report: LimitReport
  private let accounts = Locked<[@Sendable () -> Void]>([])

  /// Creates a budget.
  ///
  /// - Parameters:
  ///   - limit: The maximum number of bytes; unlimited by default.
  ///   - report: Counts and logs rejections.
  public init(limit: Int = .max, report: LimitReport = LimitReport()) {
    self.limit = limit
    self.report = report
    step = min(limit / 64, 256 * 1024) + 1
  }

  /// Number of bytes held, except for changes that workers have not added yet. May be read from any thread.
  public var byteCount: Int { max(0, sum.load(ordering: .relaxed)) }

  /// Whether the number of bytes exceeds the limit. May be read from any thread.
  public var isExceeded: Bool { sum.load(ordering: .relaxed) > limit }

  /// Registers a function that is called whenever the limit is exceeded.
  ///
  /// - Parameter shed: The function. It is called on the thread on which the excess is detected.
  public func onExcess(_ shed: @escaping @Sendable () -> Void) {
    accounts.withLock { $0.append(shed) }
  }

  /// Removes all functions that ``onExcess(_:)`` registered. May be called from any thread.
  public func shedNoMore() {
    accounts.withLock { $0 = [] }
  }

  /// Counts and logs that a client was rejected, or lost what was buffered for it.
  ///
  /// - Parameters:
  ///   - message: What happened, for the log.
  ///   - peer: The address of the client; empty where there is none.
  public func recordRejection(_ message: @autoclosure () -> String, peer: @autoclosure () -> String = "") {
    report.recordRejection(.bufferedBytes, message(), peer: peer())
  }

  /// Checks that the limit is not exceeded.
  ///
  /// - Throws: RESOURCE_EXHAUSTED, with the time after which to retry, if the limit is exceeded.
  public func requireRoom() throws(RPCStatus) {
    guard isExceeded else { return }
    let message = "more than \(limit) bytes are buffered on this server for slow clients"
    recordRejection(message)
    throw RPCStatus(
      .bufferedBytesLimit, "\(message): use another server, or try again later", retryDelay: .seconds(1),
      metadata: ["limit": ServerLimit.bufferedBytes.rawValue, "maximum": "\(limit)"])
  }

  /// Adds a worker's change of its number of bytes, in total and in each size class.
  fileprivate func add(_ change: Int, byClass changes: [Int]) {
    byClass.withLock { byClass in
      for (sizeClass, change) in changes.enumerated() { byClass[sizeClass] += change }
    }
    let sum = sum.wrappingAdd(change, ordering: .relaxed).newValue
    if change > 0, sum > limit { askAgain() }
  }

  /// Has the workers check how much they have to release, or continue with it.
  fileprivate func askAgain() {
    for shed in accounts.withLock({ $0 }) { shed() }
  }

  /// What must be released so that the sum falls to three quarters of the limit.
  fileprivate struct Excess {
    /// Everything that is held in the size classes above this one must be released.
    let sizeClass: Int
    /// The share, from 0 to 1, that must be released of the bytes in this size class.
    let share: Double
  }

  /// What must be released; nil if the limit is not exceeded.
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

  /// Number of size classes of holders. Each class has sizes up to four times those of the class before.
  fileprivate static let classCount = Int.bitWidth / 2

  fileprivate static func sizeClass(_ bytes: Int) -> Int {
    (Int.bitWidth - 1 - max(1, bytes).leadingZeroBitCount) / 2
  }
}

/// One worker's part of a ``BufferBudget``. It is used on that worker's thread only.
public final class BufferAccount {
  /// The budget that this account is a part of.
  public let budget: BufferBudget
  /// The holders by size class, so that the largest are found without examining the others.
  private var holders = [[ObjectIdentifier: any BufferHolder]](repeating: [:], count: BufferBudget.classCount)
  private var held = 0
  private var heldByClass = [Int](repeating: 0, count: BufferBudget.classCount)
  /// The part of `held` that has been added to the budget.
  private var told = 0
  private var toldByClass = [Int](repeating: 0, count: BufferBudget.classCount)
  /// Number of bytes that holders have still to release since the limit was last exceeded, and the lowest size class
  /// from which they are taken.
  private var owed = 0
  private var owedClass = 0

  /// Creates the account of one worker.
  ///
  /// - Parameter budget: The budget to which the account reports.
  public init(_ budget: BufferBudget) {
    self.budget = budget
  }

  /// Changes the number of bytes that a holder is charged. A holder must be changed to 0 bytes before it is released.
  ///
  /// - Parameters:
  ///   - holder: The object that holds the bytes.
  ///   - old: The number of bytes that it was charged before.
  ///   - new: The number of bytes that it is charged from now on.
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

  /// Makes the largest holders of all workers release what they hold, if the limit is exceeded. Within the lowest size
  /// class that is affected, each worker releases its share.
  ///
  /// One call handles at most 128 holders, and none after 1 MiB has been released. If these are not enough, the budget
  /// calls the function again.
  public func shed() {
    if owed <= 0, let excess = budget.excess {
      owedClass = excess.sizeClass
      let share = excess.share * Double(heldByClass[owedClass])
      owed = heldByClass[(owedClass + 1)...].reduce(0, +) + (share > 0 ? Int(share) + 1 : 0)
    }
    guard owed > 0 else { return }
    let largest = largestHolders()
    var isComplete = largest.count < Self.holdersPerIteration
    let heldAtStart = held
    for holder in largest where owed > 0 {
      guard heldAtStart - held < Self.releasedBytesPerIteration else {
        isComplete = false
        break
      }
      let before = held
      // An earlier holder in this loop may have released this one's bytes, too.
      guard holder.bufferedByteCount > 0 else { continue }
      holder.giveUpBuffers()
      owed -= before - held
    }
    if isComplete { owed = 0 }
    tell()
    if owed > 0 { budget.askAgain() }
  }

  /// The largest holders, in descending order of size, at most ``holdersPerIteration``.
  private func largestHolders() -> [any BufferHolder] {
    var largest: [any BufferHolder] = []
    for holders in holders[owedClass...].reversed() where !holders.isEmpty {
      let some = holders.values.prefix(Self.holdersPerIteration - largest.count)
      largest += some.sorted { $0.bufferedByteCount > $1.bufferedByteCount }
      if largest.count == Self.holdersPerIteration { break }
    }
    return largest
  }

  /// Maximum number of holders that release their bytes in one event-loop iteration, so that other connections are
  /// served in between.
  private static let holdersPerIteration = 128
  /// Number of bytes after whose release no further holder follows in an event-loop iteration: a connection with a
  /// thousand open calls takes some tenths of a millisecond to close.
  private static let releasedBytesPerIteration = 1024 * 1024
}
