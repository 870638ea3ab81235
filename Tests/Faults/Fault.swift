/// Something that goes wrong, and how to make it happen.
struct Fault: Sendable {
  let name: String
  /// For people: what is done.
  let what: String
  /// Whether it belongs to the short form.
  var isShort = false
  /// For the database. A short oplog: SecantusDB looks through all of it to open a stream at a moment, and 20,000
  /// entries take it longer than a server waits. Long enough, still, that no open stream is overtaken by its pruning.
  var flags = ["--oplog-max-entries", "5000"]
  /// It goes through a list by itself; else it is tried as often as there is time for.
  var isOnce = false
  /// Subscribers that go from server to server.
  var hopperCount = 1
  /// Breaks something and mends it, while all work. The number of the try counts from 1.
  let strike: @Sendable (Bench, Int) throws -> Void

  static let all = database + errors + history + collections + network + servers
}
