// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

extension MongodModel {
  /// Answers commands by which drivers' own tests and tools learn what they talk to; nil for other commands.
  func diagnostics(_ request: Request, at member: Int) -> BSONBuilder? {
    var reply = BSONBuilder()
    switch request.command {
    case "getCmdLineOpts":
      reply.append("argv", array: ["mongod"])
      reply.append("parsed") { parsed in
        parsed.append("setParameter") { $0.append("enableTestCommands", true) }
      }
    case "getParameter":
      reply.append("enableTestCommands", true)
      reply.append("requireApiVersion", false)
      reply.append("transactionLifetimeLimitSeconds", Int32(60))
    // The model has no indexes but that of the _id.
    case "setParameter", "createIndexes", "dropIndexes": break
    case "serverStatus":
      reply.append("version", personality.version)
      reply.append("process", "mongod")
      reply.append("storageEngine") { $0.append("name", "wiredTiger") }
    case "listDatabases":
      let names = Set(set.members[member].store.collections.keys.map(\.database)).union(["admin", "local"])
      reply.append(
        "databases",
        array: names.sorted().map { name in
          BSONDocument {
            $0.append("name", name)
            $0.append("sizeOnDisk", Int64(4096))
            $0.append("empty", false)
          }
        })
    default: return nil
    }
    return reply
  }
}
