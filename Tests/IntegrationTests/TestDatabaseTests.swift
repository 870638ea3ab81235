// SPDX-License-Identifier: Apache-2.0
internal import Foundation
internal import Glibc
internal import TestSupport
internal import Testing

@Suite struct TestDatabaseTests {
  @Test func answersAndKeepsItsDataOverARestart() throws {
    try withTestDatabase { database in
      try database.python("client.app.things.insert_one({'_id': 1, 'name': arguments[0]})", ["first"])
      try database.restart()
      #expect(try database.python("print(client.app.things.find_one({'_id': 1})['name'])") == ["first"])
    }
  }

  @Test func acknowledgedWritesOutliveAKill() throws {
    try withTestDatabase { database in
      try database.python("client.app.things.insert_many([{'_id': i} for i in range(50)])")
      try database.kill()
      try database.start()
      #expect(try database.python("print(client.app.things.count_documents({}))") == ["50"])
    }
  }

  @Test func takesFlags() throws {
    try withTestDatabase("--oplog-max-entries", "50") { database in
      let pruned = try database.python("print(client.admin.command('secantusAdmin.pruneOplog')['ok'])")
      #expect(pruned == ["1.0"])
    }
  }

  @Test func pausesAndResumes() throws {
    try withTestDatabase { database in
      let count = "print(client.app.things.count_documents({}))"
      database.pause()
      let answer = try? database.python(count, timeout: .seconds(2))
      #expect(answer == nil)
      database.resume()
      let after = try database.python(count)
      #expect(after == ["0"])
    }
  }

  @Test func leavesNothingBehind() throws {
    let database = try TestDatabase()
    let pid = try #require(database.pid)
    try database.stop()
    #expect(database.pid == nil)
    #expect(Glibc.kill(pid, 0) == -1)
    try database.start()
    let second = try #require(database.pid)
    database.close()
    #expect(Glibc.kill(second, 0) == -1)
    let group = "ps -e -o pgid=,stat= | awk '$1 == \(second) && $2 !~ /Z/'"
    try poll("the watchdog has ended too") { try ChildProcess.run("/bin/sh", ["-c", group]).isEmpty }
  }
}
