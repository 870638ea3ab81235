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

  private let subjects: [Subject]
  private let lanes: [HealthLane]
  /// A bit for each subject that was serving when it was last looked at.
  private let lastSeen = Atomic<UInt64>(0)

  /// `workers` are all the threads that calls live on.
  public init(subjects: [Subject], workers: [any RPCWorker]) {
    precondition(subjects.count <= UInt64.bitWidth, "a bit for each")
    self.subjects = subjects
    lanes = workers.map(HealthLane.init)
  }

  /// Something may have changed: who watches it is told. From any thread; cheap where nothing has.
  public func refresh() {
    let now = subjects.reduce(0 as UInt64) { $0 << 1 | ($1.isServing() ? 1 : 0) }
    guard lastSeen.exchange(now, ordering: .acquiringAndReleasing) != now else { return }
    for lane in lanes { lane.post() }
  }

  /// The methods, for a router.
  public var methods: [RPCMethod] {
    [
      RPCMethod(
        service: Self.serviceName, name: "Check",
        handler: .unary { request, reply throws(RPCStatus) in
          let name = try Self.name(in: request.message)
          let status = self.status(name)
          guard status != .serviceUnknown else { throw RPCStatus(.notFound, "no service \"\(name)\"") }
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
          let watch = HealthWatch(lane: self.lanes[request.worker.index], writer: writer) { self.status(name) }
          watch.start()
          return watch
        }),
    ]
  }

  private func status(_ name: String) -> Status {
    guard let subject = subjects.first(where: { $0.name == name }) else { return .serviceUnknown }
    return subject.isServing() ? .serving : .notServing
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
      throw RPCStatus(.invalidArgument, "service: longer than \(Limits.serviceNameBytes) bytes")
    }
    return name
  }
}
