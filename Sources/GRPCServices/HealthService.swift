public import Core
internal import ProtobufMessages
public import RPC
internal import Synchronization

/// `grpc.health.v1.Health`: whether calls to a service should come here.
///
/// Knows names and asks whoever made it how they are; so it says what HTTP says.
public final class HealthService: Sendable {
  /// A name that can be asked for.
  public struct Subject: Sendable {
    public let name: String
    /// From any thread, and without waiting.
    public let isServing: @Sendable () -> Bool

    public init(_ name: String, isServing: @escaping @Sendable () -> Bool) {
      self.name = name
      self.isServing = isServing
    }
  }

  /// `HealthCheckResponse.ServingStatus`
  enum Status: UInt64 {
    case serving = 1
    case notServing, serviceUnknown
  }

  private static let serviceName = "grpc.health.v1.Health"

  /// Bounds of the watches.
  public struct WatchLimits: Sendable {
    /// Watches open at once: one for each connection, as clients' libraries have them.
    public var count = 10_000
    /// Watches open at once on one connection: one for each service that a client library balances over, and to spare.
    public var perConnection = 16

    public init() {}
  }

  /// Where a watch is told of changes.
  struct Place {
    let lane: HealthLane
    let subject: Int
  }

  private let subjects: [Subject]
  /// A subject's place among them, by name.
  private let places: [String: Int]
  private let lanes: [HealthLane]
  private let limits: WatchLimits
  private let report: LimitReport
  private let clock: HealthClock
  private let lastSeen: LastSeen

  /// Tells of changes.
  ///
  /// - Parameters:
  ///   - subjects: the names that can be asked for, at most 64.
  ///   - workers: all the threads that calls live on.
  ///   - report: counts and logs what reaches a limit.
  public init(
    subjects: [Subject], workers: [any RPCWorker], limits: WatchLimits = WatchLimits(),
    report: LimitReport = LimitReport()
  ) {
    precondition(subjects.count <= UInt64.bitWidth, "a bit for each")
    self.subjects = subjects
    places = Dictionary(subjects.enumerated().map { ($1.name, $0) }) { first, _ in first }
    self.limits = limits
    self.report = report
    let lanes = workers.map { HealthLane($0, subjectCount: subjects.count) }
    self.lanes = lanes
    let lastSeen = LastSeen(subjects, lanes)
    self.lastSeen = lastSeen
    clock = HealthClock(workers[0]) { lastSeen.refresh() }
  }

  /// What each subject was when it was last looked at. The one place from which watches are told of changes.
  private final class LastSeen: Sendable {
    private let subjects: [Subject]
    private let lanes: [HealthLane]
    /// A bit for each subject that was serving.
    private let bits = Atomic<UInt64>(0)

    init(_ subjects: [Subject], _ lanes: [HealthLane]) {
      self.subjects = subjects
      self.lanes = lanes
    }

    func refresh() {
      var now: UInt64 = 0
      for (place, subject) in subjects.enumerated() where subject.isServing() { now |= 1 << UInt64(place) }
      let changed = bits.exchange(now, ordering: .acquiringAndReleasing) ^ now
      guard changed != 0 else { return }
      for lane in lanes { lane.post(changed) }
    }

    /// A watch has told this of a subject: where it changes back before the next look, that must be seen as a change.
    func note(_ status: Status, of subject: Int) {
      let bit: UInt64 = 1 << UInt64(subject)
      let isServing = status == .serving
      guard (bits.load(ordering: .acquiring) & bit != 0) != isServing else { return }
      if isServing {
        bits.bitwiseOr(bit, ordering: .acquiringAndReleasing)
      } else {
        bits.bitwiseAnd(~bit, ordering: .acquiringAndReleasing)
      }
      // The others were told something else.
      for lane in lanes { lane.post(bit) }
    }
  }

  /// Something may have changed: who watches it is told. From any thread; cheap where nothing has.
  public func refresh() { lastSeen.refresh() }

  /// Watches that are open. From any thread.
  public var watchCount: Int { clock.count }

  /// The methods, for a router.
  public var methods: [RPCMethod] {
    [
      RPCMethod(
        service: Self.serviceName, name: "Check",
        handler: .unary { request, reply throws(RPCStatus) in
          let name = try Self.name(in: request.message)
          let status = self.status(name)
          guard status != .serviceUnknown else { throw RPCStatus(.notFound, "unknown service \"\(name)\"") }
          Self.write(status, to: &reply.head)
          return nil
        }),
      RPCMethod(
        service: Self.serviceName, name: "List",
        handler: .unary { request, reply throws(RPCStatus) in
          for subject in self.subjects {
            ProtobufWriter.message(1, to: &reply.head) { entry in
              ProtobufWriter.string(1, subject.name, to: &entry)
              ProtobufWriter.message(2, to: &entry) { Self.write(self.status(subject.name), to: &$0) }
            }
          }
          return nil
        }),
      RPCMethod(
        service: Self.serviceName, name: "Watch",
        handler: .serverStreaming { request, writer, reply throws(RPCStatus) in
          let name = try Self.name(in: request.message)
          return try self.watch(name, worker: request.worker.index, writer)
        }, openCallLimit: RPCOpenCallLimit(.healthWatchesPerConnection, limits.perConnection)),
    ]
  }

  private func watch(
    _ name: String, worker: Int, _ writer: any RPCStreamWriter
  ) throws(RPCStatus) -> any RPCStreamHandler {
    guard clock.take(limit: limits.count) else {
      let message = "\(limits.count) health watches are open on this server"
      report.reached(.healthWatches, message)
      throw RPCStatus(.resourceExhausted, message, detail: .retry(afterSeconds: 1))
    }
    let place = places[name].map { Place(lane: lanes[worker], subject: $0) }
    let watch = HealthWatch(place: place, writer: writer) {
      let status = self.status(name)
      if let place { self.lastSeen.note(status, of: place.subject) }
      return status
    } ended: {
      self.clock.giveBack()
    }
    watch.start()
    return watch
  }

  private func status(_ name: String) -> Status {
    guard let place = places[name] else { return .serviceUnknown }
    return subjects[place].isServing() ? .serving : .notServing
  }

  /// A `HealthCheckResponse`.
  static func write(_ status: Status, to out: inout [UInt8]) {
    ProtobufWriter.unsigned(1, status.rawValue, to: &out)
  }

  /// `service` of a `HealthCheckRequest`.
  private static func name(in message: UnsafeRawBufferPointer) throws(RPCStatus) -> String {
    var name = ""
    do throws(ProtobufError) {
      var reader = ProtobufReader(message)
      while let field = try reader.next() {
        guard field.number == 1 else { continue }
        guard case .bytes(let bytes) = field.value, let text = String(validating: bytes, as: UTF8.self) else {
          throw .malformed
        }
        name = text
      }
    } catch {
      throw RPCStatus(.invalidArgument, "the request \(error)")
    }
    guard name.utf8.count <= Limits.serviceNameBytes else {
      throw RPCStatus(.invalidArgument, "service: is longer than \(Limits.serviceNameBytes) bytes")
    }
    return name
  }
}
