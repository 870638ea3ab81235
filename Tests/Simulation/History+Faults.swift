// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

extension History {
  /// Causes a random fault.
  func fault() {
    let server = chance.pick(servers)
    let source = chance.pick(server.sources)
    switch chance.below(20) {
    case 0..<4:
      log("\(server.name) loses its link to \(source.collection.entity)")
      source.disconnect()
    case 4..<6:
      log("\(server.name) loses its links")
      for source in server.sources { source.disconnect() }
    case 6..<8:
      let isReachable = !server.sources[0].isReachable
      log("\(server.name) can\(isReachable ? "" : "not") reach the database")
      for source in server.sources { source.isReachable = isReachable }
    case 8..<10:
      let kept = chance.below(5)
      log("history is forgotten but for \(kept) events")
      database.truncate(keeping: kept)
    case 10: drop([source.collection], chance.once(in: 2) ? "drop" : "rename")
    case 11 where chance.once(in: 3): drop(Collection.allCases, "dropDatabase")
    case 12:
      log("an unknown operation on \(source.collection.entity)")
      _ = database.commit([.unknown(source.collection)], &chance)
    case 13:
      log("\(server.name) is told to read \(source.collection.entity) again")
      server.caches[source.collection.rawValue].reload()
    case 14:
      log("the TTL passes")
      pass(milliseconds: 6000)
    case 15..<18 where traits.hasRestarts && depth == 0:
      restart(chance.below(2))
    case 15..<18 where traits.hasMajority:
      database.isMajorityLost.toggle()
      log("the majority is \(database.isMajorityLost ? "lost" : "back")")
    case 18..<20 where traits.hasDrift:
      writeSilently()
    default: break
    }
  }
}
