// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Guarantees

extension History {
  /// Lets a subscriber act: open a watch, move to the other server, read or stop reading.
  func subscribe() {
    let subscriber = chance.pick(subscribers)
    if subscriber.isFinished { return open(subscriber) }
    switch chance.below(16) {
    case 0: close(subscriber)
    case 1:
      close(subscriber)
      open(subscriber)
    case 2:
      subscriber.drain()
      if subscriber.isFinished { validator.closed(subscriber.name) }
    case 3..<6: take(subscriber, 0)
    case 6..<9: take(subscriber, 1 + chance.below(3))
    default: take(subscriber, .max)
    }
  }

  func close(_ subscriber: Subscriber) {
    subscriber.cancel()
    validator.closed(subscriber.name)
  }

  private func open(_ subscriber: Subscriber) {
    let server = chance.pick(servers)
    let name = subscriber.name
    let mayKeep = subscriber.server === server || traits.movesBetweenServers || isWild
    var start = chance.once(in: 4) || !mayKeep ? nil : validator.position(name)
    var wire = Wire()
    if start == nil {
      filters[name] = WatchFilter(&chance, chance.pick([keyNames, promptNames, Self.containers, Self.sourceAgents]))
    } else if chance.once(in: 6), let position = start {
      // Earlier than necessary, but not 0, which on the wire starts the watch at the present.
      start = Revision(max(1, position.rawValue - min(position.rawValue, UInt64(chance.below(4)))))
    }
    let filter = filters[name] ?? WatchFilter()
    filter.write(to: &wire)
    wire.add(4, start?.rawValue ?? 0)
    // The positions of a client with another epoch are not valid here.
    let isForeign = start != nil && chance.once(in: 12)
    if start != nil { wire.add(5, isForeign ? "another" : subscriber.epoch) }
    var request = WatchRequest(of: server.name, includes: { filter.includes($0) })
    request.start = isForeign ? nil : start
    request.sendsInitialState = chance.once(in: 3)
    if request.sendsInitialState { wire.add(6, 1) }
    if chance.once(in: 2) { wire.add(7, 1) }
    wire.add(8, 1000)
    subscriber.room = chance.once(in: 4) ? chance.below(6) : .max
    log(
      "\(name) opens a watch of \(server.name) from \(start?.short ?? "now on"), initial: \(request.sendsInitialState)")
    validator.opened(name, request)
    guard subscriber.open(server, wire, start: start) else {
      validator.closed(name)
      return
    }
    validator.measured("notices that \(server.name) can replay", server.replayableCount, limit: traits.replay)
  }

  func take(_ subscriber: Subscriber, _ count: Int) {
    let wasCaughtUp = subscriber.isCaughtUp
    if let server = subscriber.server {
      // The total of all watches; the limit applies to each of them.
      validator.measured(
        "keys queued by \(server.name)", server.queuedKeyCount, limit: traits.queuedKeys * subscribers.count)
    }
    subscriber.take(count)
    guard wasCaughtUp, let server = subscriber.server else { return }
    validator.measured("RESYNCs for one overflow by \(server.name)", subscriber.resyncs, limit: 1)
  }
}
