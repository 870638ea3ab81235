internal import RPC

/// One `Watch` of health: says the status at once, and when it is another. On its worker's thread only.
final class HealthWatch: RPCStreamHandler {
  private let lane: HealthLane
  private let status: () -> HealthService.Status
  /// Nil once the watch is over.
  private var writer: (any RPCStreamWriter)?
  private var said: HealthService.Status?

  init(lane: HealthLane, writer: any RPCStreamWriter, status: @escaping () -> HealthService.Status) {
    self.lane = lane
    self.writer = writer
    self.status = status
  }

  func start() {
    // First in the lane, then the status: a change after it is told.
    lane.add(self)
    update()
  }

  /// Says the status if it is another than was said. To a peer that reads no more, only the last counts: later.
  func update() {
    guard let writer, said == nil || writer.isWritable else { return }
    let now = status()
    guard now != said else { return }
    said = now
    var reply = RPCReply()
    HealthService.write(now, to: &reply.head)
    writer.send(reply)
  }

  func writable() { update() }

  func draining() {
    update()
    let writer = writer
    end()
    // A client asks again then, on another connection.
    writer?.finish(.ok, RPCMetadata())
  }

  func cancelled() { end() }

  private func end() {
    writer = nil
    lane.remove(self)
  }
}
