internal import Testing

@testable internal import MongoSource

/// What can be wrong with a connection string.
struct MongoClientPoolTests {
  @Test(arguments: ["mongodb://user:s3:cret@host/", "mongodb://us:er:s3cret@host/"])
  func aPasswordThatIsNotEncodedIsNotQuoted(uri: String) {
    let error = #expect(throws: MongoError.self) { try MongoClientPool(uri: uri) }
    #expect(error?.description.contains("s3") == false)
    #expect(error?.description.contains("percent-encoded") == true)
  }

  @Test func aUserThatIsNotEncodedShowsNoPassword() {
    let error = #expect(throws: MongoError.self) { try MongoClientPool(uri: "mongodb://u@ser:s3cret@host/") }
    #expect(error?.description.contains("s3") == false)
  }

  @Test func aPoolIsNeverTooSmallForItsStreams() throws {
    let pool = try MongoClientPool(uri: "mongodb://127.0.0.1:1/?maxPoolSize=1&waitQueueTimeoutMS=1")
    // Three streams hold one each for as long as they live, and commands come beside them.
    let clients = try (0..<4).map { _ in try pool.pop() }
    for client in clients { pool.push(client) }
  }
}
