// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupRPC

/// One call of `Watch`, which sends the status at once and after each change. It is used on its worker's thread only.
final class HealthWatch: RPCStreamHandler {
  private let place: HealthService.Place?
  private let status: () -> HealthService.Status
  private let ended: () -> Void
  /// Nil after the watch has ended.
  private var writer: (any RPCStreamWriter)?
  private var said: HealthService.Status?

  /// Creates a watch.
  ///
  /// - Parameters:
  ///   - place: The group in which the watch is notified of changes; nil for an unknown service.
  ///   - writer: The writer of the call.
  ///   - status: Returns the current status.
  ///   - ended: Called once, when the watch has ended.
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
    // The watch is registered before the status is read, so that it is notified of any later change.
    if let place { place.shard.add(self, of: place.subject) }
    update()
  }

  /// Sends the status if it differs from the last one sent. If the peer reads too slowly, only the latest status is
  /// sent when it reads again.
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
    // The client can then watch again on another connection.
    writer?.finish(.ok, RPCMetadata())
  }

  func cancelled() { end() }

  private func end() {
    guard writer != nil else { return }
    writer = nil
    if let place { place.shard.remove(self, of: place.subject) }
    ended()
  }
}
