// SPDX-License-Identifier: Apache-2.0
public import ConfigLookupCore
public import ConfigLookupRPC
internal import ProtobufMessages
internal import Synchronization

/// The service `grpc.health.v1.Health`, which reports whether calls to a service should be sent to this server.
///
/// The statuses come from functions of the caller, so they agree with those of the HTTP health endpoints.
public final class HealthService: Sendable {
  /// A service name whose status can be requested.
  public struct Subject: Sendable {
    /// The name of the service.
    public let name: String
    /// Returns whether the service is serving. It may be called from any thread, and must not block.
    public let isServing: @Sendable () -> Bool

    /// Creates a subject.
    ///
    /// - Parameters:
    ///   - name: The name of the service.
    ///   - isServing: Returns whether the service is serving. It may be called from any thread, and must not block.
    public init(_ name: String, isServing: @escaping @Sendable () -> Bool) {
      self.name = name
      self.isServing = isServing
    }
  }

  /// The status on the wire, `HealthCheckResponse.ServingStatus`.
  enum Status: UInt64 {
    case serving = 1
    case notServing, serviceUnknown
  }

  private static let serviceName = "grpc.health.v1.Health"

  /// The limits of health watches.
  public struct WatchLimits: Sendable {
    /// Maximum number of open watches. Client libraries open one for each connection.
    public var count = 10_000
    /// Maximum number of open watches on one connection. A client library opens one for each service that it balances
    /// over; the default is larger than that.
    public var perConnection = 16

    /// Creates limits with the server's defaults.
    public init() {}
  }

  /// The group of watches that are notified together: the worker's watches of one subject.
  struct Place {
    let shard: HealthShard
    let subject: Int
  }

  private let subjects: [Subject]
  /// The index of each subject, by name.
  private let places: [String: Int]
  private let shards: [HealthShard]
  private let limits: WatchLimits
  private let report: LimitReport
  private let clock: HealthClock
  private let lastSeen: LastSeen

  /// Creates the service.
  ///
  /// - Parameters:
  ///   - subjects: The names whose status can be requested, at most 64.
  ///   - workers: All the threads on which calls run.
  ///   - limits: The limits of watches.
  ///   - report: Counts and logs rejections.
  public init(
    subjects: [Subject], workers: [any RPCWorker], limits: WatchLimits = WatchLimits(),
    report: LimitReport = LimitReport()
  ) {
    precondition(subjects.count <= UInt64.bitWidth, "a bit for each")
    self.subjects = subjects
    places = Dictionary(subjects.enumerated().map { ($1.name, $0) }) { first, _ in first }
    self.limits = limits
    self.report = report
    let shards = workers.map { HealthShard($0, subjectCount: subjects.count) }
    self.shards = shards
    let lastSeen = LastSeen(subjects, shards)
    self.lastSeen = lastSeen
    clock = HealthClock(workers[0]) { lastSeen.refresh() }
  }

  /// The status of each subject at the last check. Watches are notified of changes from here only.
  private final class LastSeen: Sendable {
    private let subjects: [Subject]
    private let shards: [HealthShard]
    /// One bit for each subject, which is set if the subject was serving.
    private let bits = Atomic<UInt64>(0)

    init(_ subjects: [Subject], _ shards: [HealthShard]) {
      self.subjects = subjects
      self.shards = shards
    }

    func refresh() {
      var now: UInt64 = 0
      for (place, subject) in subjects.enumerated() where subject.isServing() { now |= 1 << UInt64(place) }
      let changed = bits.exchange(now, ordering: .acquiringAndReleasing) ^ now
      guard changed != 0 else { return }
      for shard in shards { shard.post(changed) }
    }

    /// Records the status of a subject that a watch has just sent. If the status changes back before the next check,
    /// this is then detected as a change.
    func note(_ status: Status, of subject: Int) {
      let bit: UInt64 = 1 << UInt64(subject)
      let isServing = status == .serving
      guard (bits.load(ordering: .acquiring) & bit != 0) != isServing else { return }
      if isServing {
        bits.bitwiseOr(bit, ordering: .acquiringAndReleasing)
      } else {
        bits.bitwiseAnd(~bit, ordering: .acquiringAndReleasing)
      }
      // The other watches have sent the other status.
      for shard in shards { shard.post(bit) }
    }
  }

  /// Checks the statuses and notifies the watches of subjects whose status has changed. May be called from any thread;
  /// it is cheap if nothing has changed.
  public func refresh() { lastSeen.refresh() }

  /// Number of open watches. May be read from any thread.
  public var watchCount: Int { clock.count }

  /// The methods of the service, for a router.
  public var methods: [RPCMethod] {
    [
      RPCMethod(
        service: Self.serviceName, name: "Check",
        handler: .unary { request, reply throws(RPCStatus) in
          let name = try Self.name(in: request.message)
          let status = self.status(name)
          guard status != .serviceUnknown else { throw RPCStatus(.unknownService, "unknown service \"\(name)\"") }
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
        },
        openCallLimit: RPCOpenCallLimit(
          .healthWatchesPerConnection, limits.perConnection, reason: .healthWatchesPerConnectionLimit)),
    ]
  }

  private func watch(
    _ name: String, worker: Int, _ writer: any RPCStreamWriter
  ) throws(RPCStatus) -> any RPCStreamHandler {
    guard clock.take(limit: limits.count) else {
      let message = "\(limits.count) health watches are open on this server"
      report.recordRejection(.healthWatches, message)
      throw RPCStatus(.healthWatchesLimit, message, retryDelay: .seconds(1))
    }
    let place = places[name].map { Place(shard: shards[worker], subject: $0) }
    let watch = HealthWatch(place: place, writer: writer) {
      let status = self.status(name)
      if let place { self.lastSeen.note(status, of: place.subject) }
      return status
    } ended: {
      self.clock.release()
    }
    watch.start()
    return watch
  }

  private func status(_ name: String) -> Status {
    guard let place = places[name] else { return .serviceUnknown }
    return subjects[place].isServing() ? .serving : .notServing
  }

  /// Appends a `HealthCheckResponse`.
  static func write(_ status: Status, to out: inout [UInt8]) {
    ProtobufWriter.unsigned(1, status.rawValue, to: &out)
  }

  /// Reads the field `service` of a `HealthCheckRequest`.
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
      throw RPCStatus(.invalidRequest, "the request \(error)")
    }
    guard name.utf8.count <= GRPCServiceLimits.serviceNameBytes else {
      throw RPCStatus.invalid("service", "is longer than \(GRPCServiceLimits.serviceNameBytes) bytes")
    }
    return name
  }
}
