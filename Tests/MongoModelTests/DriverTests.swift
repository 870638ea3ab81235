// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON
internal import MongoModel
internal import TestSupport
internal import Testing

/// The model and a driver that knows nothing of it, and another implementation of the protocol.
struct DriverTests {
  /// Writes by pymongo, and prints what a change stream and reads return. Nothing depends on times and ids.
  private let program = """
    import sys, pymongo
    client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=10000)
    things = client.db.things

    def show(event):
        fields = ("operationType", "ns", "to", "documentKey", "fullDocument")
        change = event.get("updateDescription", {})
        print({k: event[k] for k in fields if k in event}, change.get("updatedFields"), change.get("removedFields"),
              "txnNumber" in event)

    def drain(stream, count):
        events = []
        while len(events) < count:
            event = stream.try_next()
            if event is not None:
                show(event)
                events.append(event)
        return events

    client.db.create_collection("things")
    with things.watch(full_document="updateLookup", max_await_time_ms=300) as stream:
        things.insert_one({"_id": "a", "x": 1, "list": [1, 2]})
        things.insert_many([{"_id": number, "x": number} for number in range(3)])
        events = drain(stream, 4)
        things.update_one({"_id": "a"}, {"$set": {"x": 5, "n": {"m": 2}}, "$unset": {"list": ""}})
        drain(stream, 1)
        things.replace_one({"_id": 1}, {"y": 1})
        drain(stream, 1)
        things.delete_one({"_id": 2})
        things.update_one({"_id": "new"}, {"$set": {"x": 9}}, upsert=True)
        events += drain(stream, 2)
        assert stream.try_next() is None
        token = stream.resume_token
    with things.watch(resume_after=events[1]["_id"], max_await_time_ms=300) as stream:
        drain(stream, 6)
    with things.watch(resume_after=token, max_await_time_ms=300) as stream:
        assert stream.try_next() is None
    with client.start_session() as session:
        with things.watch(max_await_time_ms=300) as stream:
            with session.start_transaction():
                things.insert_one({"_id": "t"}, session=session)
                things.update_one({"_id": "a"}, {"$set": {"x": 6}}, session=session)
                assert things.find_one({"_id": "t"}) is None
            first, second = drain(stream, 2)
            assert first["clusterTime"] == second["clusterTime"]
    print(sorted((str(row["_id"]), row.get("x")) for row in things.find({"x": {"$in": [0, 6, 9]}})))
    print(things.count_documents({}), client.db.list_collection_names())
    with things.watch([{"$match": {"operationType": "delete"}}], max_await_time_ms=300) as stream:
        things.insert_one({"_id": "unseen"})
        things.delete_one({"_id": "unseen"})
        drain(stream, 1)
    with things.watch(max_await_time_ms=300) as stream:
        things.drop()
        drain(stream, 2)
        stream.try_next()
        print(stream.alive)
    """

  private func run(_ uri: String) throws -> [String] {
    try ChildProcess.run(PythonEnvironment.command("python"), ["-c", program, uri], timeout: .seconds(60))
  }

  @Test func aDriverSeesTheSameAsWithSecantusDB() throws {
    let model = try MongoModel(.mongoDB70)
    defer { model.close() }
    let lines = try run(model.uri)
    #expect(lines.count == 22)
    #expect(lines.last == "False")
    try withTestDatabase { database in
      let others = try run(database.uri)
      #expect(others == lines)
    }
  }

  @Test(arguments: [Personality.mongoDB60, .mongoDB80, .mongoDB90])
  func everyVersionServesADriver(_ personality: Personality) throws {
    let model = try MongoModel(personality)
    defer { model.close() }
    #expect(try run(model.uri).last == "False")
  }

  @Test func aDriverFollowsAnElection() throws {
    let model = try MongoModel(members: 3)
    defer { model.close() }
    let child = try ChildProcess(
      PythonEnvironment.command("python"),
      [
        "-c",
        """
        import sys, pymongo
        client = pymongo.MongoClient(sys.argv[1], serverSelectionTimeoutMS=20000)
        with client.db.things.watch(max_await_time_ms=100) as stream:
            client.db.things.insert_one({"_id": 0})
            print("ready", flush=True)
            for event in stream:
                print(event["documentKey"]["_id"], flush=True)
                if event["documentKey"]["_id"] == 3: break
        """, model.uri,
      ])
    try child.waitForLine("the first event") { $0 == "0" }
    try model.insert("db.things", [BSONDocument { $0.append("_id", Int32(1)) }])
    model.elect(1)
    try model.insert("db.things", [BSONDocument { $0.append("_id", Int32(2)) }])
    model.setRunning(false, member: 0)
    try model.insert("db.things", [BSONDocument { $0.append("_id", Int32(3)) }])
    #expect(try child.waitForExit(timeout: .seconds(60)) == .exited(0))
    #expect(child.outputLines == ["ready", "0", "1", "2", "3"])
  }
}
