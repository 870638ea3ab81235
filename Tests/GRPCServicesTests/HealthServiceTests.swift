// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import ConfigLookupRPC
internal import TestSupport
internal import Testing

@testable internal import GRPCServices

@Suite struct HealthServiceTests {
  private let worker = TestWorker()
  private let other = TestWorker(index: 1)
  private let whole = Locked(false)
  private let prompts = Locked(true)

  private let report = LimitReport()

  private func service(_ limits: HealthService.WatchLimits = .init()) -> HealthService {
    let (whole, prompts) = (whole, prompts)
    return HealthService(
      subjects: [
        .init("") { whole.withLock { $0 } }, .init("prompt") { prompts.withLock { $0 } },
      ], workers: [worker, other], limits: limits, report: report)
  }

  @Test func checkSaysServingNotServingOrNotFound() throws {
    let service = service()
    #expect(try check(service, "") == 2)
    #expect(try check(service, "prompt") == 1)
    whole.withLock { $0 = true }
    #expect(try check(service, "") == 1)
    let failure = #expect(throws: RPCStatus.self) { try check(service, "weather") }
    #expect(failure == RPCStatus(.unknownService, "unknown service \"weather\""))
  }

  @Test(arguments: [[0x0A, 0x05, 0x61], [0x08, 0x01], [0x0A, 0x01, 0xFF], [0xFF], [0x0B]] as [[UInt8]])
  func whatIsNoRequestIsAnInvalidArgument(bytes: [UInt8]) throws {
    let service = service()
    for method in service.methods where method.name != "List" {
      let failure = #expect(throws: RPCStatus.self) { try call(method, bytes, StreamPeer()) }
      #expect(failure?.code == .invalidArgument, "\(method.name)")
    }
  }

  @Test func aNameThatIsTooLongIsAnInvalidArgument() throws {
    let service = service()
    #expect(throws: RPCStatus.self) { try check(service, String(repeating: "a", count: 257)) }
    let failure = #expect(throws: RPCStatus.self) { try check(service, String(repeating: "a", count: 256)) }
    #expect(failure?.code == .notFound)
  }

  @Test func listGivesEveryServiceWithItsStatus() throws {
    let method = try #require(service().methods.first { $0.name == "List" })
    var reply = RPCReply()
    guard case .unary(let handler) = method.handler else { throw TestFailure("no unary call") }
    _ = try [].withUnsafeBytes { try handler(request($0), &reply) }
    let entries = try WireMessage(reply.head).messages(1)
    #expect(entries.map { $0.text(1) } == ["", "prompt"])
    #expect(try entries.map { try $0.message(2).number(1) } == [2, 1])
  }

  @Test func aWatchIsToldAtOnceAndOnEachChange() throws {
    let service = service()
    let peer = StreamPeer()
    _ = try watch(service, "", peer)
    #expect(statuses(peer) == [2])
    worker.run()
    #expect(statuses(peer) == [], "nothing has changed")
    whole.withLock { $0 = true }
    service.refresh()
    worker.run()
    #expect(statuses(peer) == [1])
    whole.withLock { $0 = false }
    service.refresh()
    service.refresh()
    worker.run()
    #expect(statuses(peer) == [2])
  }

  @Test func aWatchIsToldOfItsOwnServiceOnly() throws {
    let service = service()
    let peer = StreamPeer()
    _ = try watch(service, "prompt", peer)
    #expect(statuses(peer) == [1])
    whole.withLock { $0 = true }
    service.refresh()
    worker.run()
    #expect(statuses(peer) == [])
  }

  @Test func aWatchOfAnUnknownServiceStaysOpen() throws {
    let service = service()
    let peer = StreamPeer()
    let handler = try watch(service, "weather", peer)
    worker.run()
    worker.advance(by: .seconds(10))
    #expect(statuses(peer) == [3])
    #expect(peer.finish == nil)
    handler.cancelled()
  }

  /// No function is called when the contents become stale, so the clock must detect it.
  @Test func whatOnlyTimeChangesIsSeen() throws {
    let service = service()
    let peer = StreamPeer()
    _ = try watch(service, "prompt", peer)
    worker.run()
    prompts.withLock { $0 = false }
    worker.advance(by: .seconds(1))
    worker.run()
    #expect(statuses(peer) == [1, 2])
  }

  /// A watch starts between two checks of the statuses, and sends a status that neither of them finds.
  @Test func whatChangesBackBetweenTwoLooksIsTold() throws {
    let service = service()
    let (early, late) = (StreamPeer(), StreamPeer())
    _ = try watch(service, "prompt", early)
    worker.run()
    worker.advance(by: .seconds(1))
    prompts.withLock { $0 = false }
    _ = try watch(service, "prompt", late)
    prompts.withLock { $0 = true }
    worker.advance(by: .seconds(1))
    worker.run()
    #expect(statuses(late) == [2, 1])
    #expect(statuses(early).last == 1)
  }

  @Test func watchesAreLimited() throws {
    var limits = HealthService.WatchLimits()
    limits.count = 2
    let service = service(limits)
    let first = try watch(service, "", StreamPeer())
    _ = try watch(service, "weather", StreamPeer())
    let failure = #expect(throws: RPCStatus.self) { try watch(service, "", StreamPeer()) }
    #expect(failure?.reason == .healthWatchesLimit && failure?.message.contains("2 health watches") == true)
    #expect(service.watchCount == 2 && report.count(.healthWatches) == 1)
    first.cancelled()
    first.cancelled()
    #expect(service.watchCount == 1)
    _ = try watch(service, "", StreamPeer())
  }

  /// A limited number of watches is notified in each event-loop iteration, so that its work does not grow with their
  /// number.
  @Test func manyWatchesAreToldInSlices() throws {
    let service = service()
    let peers = (0..<1000).map { _ in StreamPeer() }
    for peer in peers { _ = try watch(service, "", peer) }
    worker.run()
    for peer in peers { _ = peer.take() }
    whole.withLock { $0 = true }
    service.refresh()
    worker.runNext()
    #expect((1...256).contains(peers.count { !$0.messages.isEmpty }))
    worker.run()
    #expect(peers.allSatisfy { statuses($0) == [1] })
  }

  @Test func oneWatchOfManyEndsAndTheOthersGoOn() throws {
    let service = service()
    let (first, second) = (StreamPeer(), StreamPeer())
    let handler = try watch(service, "", first)
    _ = try watch(service, "", second)
    worker.run()
    #expect(worker.timerCount == 1)
    first.onSend = { handler.cancelled() }
    whole.withLock { $0 = true }
    worker.advance(by: .seconds(1))
    worker.run()
    whole.withLock { $0 = false }
    worker.advance(by: .seconds(1))
    worker.run()
    #expect(statuses(first) == [2, 1])
    #expect(statuses(second) == [2, 1, 2])
  }

  @Test func nothingIsLeftOfWatchesThatEnded() throws {
    let service = service()
    let handlers = try (0..<3).map { _ in try watch(service, "", StreamPeer()) }
    worker.run()
    for handler in handlers { handler.cancelled() }
    worker.advance(by: .seconds(1))
    #expect(worker.timerCount == 0)
    // The next watch has a timer again.
    _ = try watch(service, "", StreamPeer())
    worker.run()
    #expect(worker.timerCount == 1)
  }

  @Test func aPeerThatDoesNotReadIsToldTheLastStatusOnly() throws {
    let service = service()
    let peer = StreamPeer()
    let handler = try watch(service, "", peer)
    peer.room = 0
    for isServing in [true, false, true] {
      whole.withLock { $0 = isServing }
      service.refresh()
      worker.run()
    }
    #expect(statuses(peer) == [2])
    peer.room = 5
    handler.writable()
    handler.writable()
    #expect(statuses(peer) == [1])
  }

  @Test func drainingSaysNotServingAndEnds() throws {
    let service = service()
    whole.withLock { $0 = true }
    let peer = StreamPeer()
    let handler = try watch(service, "", peer)
    whole.withLock { $0 = false }
    handler.draining()
    #expect(statuses(peer) == [1, 2])
    #expect(peer.finish == .ok)
    worker.advance(by: .seconds(5))
    #expect(worker.timerCount == 0)
  }

  /// The watches of each worker are notified on its own thread.
  @Test func watchesOfEveryWorkerAreTold() throws {
    let service = service()
    let peers = [StreamPeer(), StreamPeer()]
    _ = try watch(service, "", peers[0])
    _ = try watch(service, "", peers[1], on: other)
    whole.withLock { $0 = true }
    service.refresh()
    worker.run()
    #expect(peers.map { statuses($0) } == [[2, 1], [2]])
    other.run()
    #expect(statuses(peers[1]) == [1])
  }

  // MARK: Calls

  private func check(_ service: HealthService, _ name: String) throws -> UInt64 {
    let method = try #require(service.methods.first { $0.name == "Check" })
    return try call(method, WireMessage().with(1, name).encoded, StreamPeer()).number(1)
  }

  private func watch(
    _ service: HealthService, _ name: String, _ peer: StreamPeer, on worker: TestWorker? = nil
  ) throws -> any RPCStreamHandler {
    let method = try #require(service.methods.first { $0.name == "Watch" })
    guard case .serverStreaming(let handler) = method.handler else { throw TestFailure("no stream") }
    var reply = RPCReply()
    return try WireMessage().with(1, name).encoded.withUnsafeBytes { bytes in
      try handler(request(bytes, on: worker), peer, &reply)
    }
  }

  @discardableResult
  private func call(_ method: RPCMethod, _ bytes: [UInt8], _ peer: StreamPeer) throws -> WireMessage {
    var reply = RPCReply()
    try bytes.withUnsafeBytes { bytes in
      switch method.handler {
      case .unary(let handler): _ = try handler(request(bytes), &reply)
      case .serverStreaming(let handler): _ = try handler(request(bytes), peer, &reply)
      case .bidirectionalStreaming: throw TestFailure("not of health")
      }
    }
    return try WireMessage(reply.head)
  }

  private func request(_ bytes: UnsafeRawBufferPointer, on worker: TestWorker? = nil) -> RPCRequest {
    RPCRequest(message: bytes, metadata: RPCMetadata(), deadline: nil, worker: worker ?? self.worker)
  }

  private func statuses(_ peer: StreamPeer) -> [UInt64] { peer.take().map { $0.number(1) } }
}
