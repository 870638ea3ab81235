internal import RPC

/// One `Watch` of health: says the status at once, and when it is another. On its worker's thread only.
final class HealthWatch: RPCStreamHandler {
  private let place: HealthService.Place?
  private let status: () -> HealthService.Status
  private let ended: () -> Void
  /// Nil once the watch is over.
  private var writer: (any RPCStreamWriter)?
  private var said: HealthService.Status?

  /// - Parameters:
  ///   - place: where it is told of changes; nil for a subject that has none.
  ///   - ended: called once, when the watch is over.
  init(
    place: HealthService.Place?, writer: any RPCStreamWriter, status: @escaping () -> HealthService.Status,
    ended: @escaping () -> Void
  ) {
    self.place = place
    self.writer = writer
    self.status = status
    self.ended = ended
  }

  func start() {
    // First in the lane, then the status: a change after it is told.
    if let place { place.lane.add(self, of: place.subject) }
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
    guard writer != nil else { return }
    writer = nil
    if let place { place.lane.remove(self, of: place.subject) }
    ended()
  }
}
