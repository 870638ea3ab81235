internal import MongoSource
internal import Testing

/// What can be wrong with a connection string.
struct MongoClientPoolTests {
  @Test(arguments: ["mongodb://user:s3:cret@host/", "mongodb://us:er:s3cret@host/", "mongodb://u@ser:s3cret@host/"])
  func aPasswordIsNeverQuoted(uri: String) {
    let error = #expect(throws: MongoError.self) { try MongoClientPool(uri: uri) }
    #expect(error?.description.contains("s3") == false)
    #expect(error?.description.isEmpty == false)
  }

  @Test func aPoolIsNeverTooSmallForItsStreams() throws {
    // One connection, and no patience: what the second of three streams would have found.
    let pool = try MongoClientPool(uri: "mongodb://127.0.0.1:1/?maxPoolSize=1&waitQueueTimeoutMS=1")
    #expect(pool.place == "MongoDB at 127.0.0.1:1")
  }
}
