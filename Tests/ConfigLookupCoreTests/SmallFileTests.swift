// SPDX-License-Identifier: Apache-2.0
import ConfigLookupCore
import Foundation
import TestSupport
import Testing

/// Tests of all kinds of files that a flag may name.
struct SmallFileTests {
  /// Regression test: a FIFO without a writer blocked its reader for ever, and `/dev/zero` was read up to the limit.
  @Test func whatIsNoRegularFileIsRefusedAtOnce() throws {
    try temporaryFolder { folder in
      let fifo = folder.appendingPathComponent("fifo").path
      #expect(mkfifo(fifo, 0o600) == 0)
      let link = folder.appendingPathComponent("link").path
      try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: fifo)
      for (path, words) in [
        (fifo, "is a pipe (FIFO)"), (link, "is a pipe (FIFO)"), (folder.path, "is a directory"),
        ("/dev/zero", "is a character device"), ("/dev/null", "is a character device"),
        (folder.appendingPathComponent("none").path, "No such file"),
      ] {
        let problem = #expect(throws: FileProblem.self) { try readSmallFile(path) }
        #expect(problem?.description.contains(words) == true, "\(path): \(problem as Any)")
      }
    }
  }

  @Test func theLimitIsTheMost() throws {
    try temporaryFolder { folder in
      let file = folder.appendingPathComponent("file")
      try Data(repeating: 1, count: 100).write(to: file)
      #expect(try readSmallFile(file.path, limit: 100).count == 100)
      #expect(throws: FileProblem.self) { try readSmallFile(file.path, limit: 99) }
      // The file has a size but no contents, so that nothing of it is read.
      let handle = try FileHandle(forWritingTo: file)
      try handle.truncate(atOffset: 1 << 40)
      try handle.close()
      let problem = #expect(throws: FileProblem.self) { try readSmallFile(file.path) }
      #expect(problem?.description.contains("1099511627776 bytes") == true)
      #expect(try !readSmallFile("/proc/self/status").isEmpty, "a file that says it is empty and is not")
    }
  }

  @Test func aPipeIsReadWhereItIsAccepted() throws {
    try temporaryFolder { folder throws in
      let fifo = folder.appendingPathComponent("fifo").path
      #expect(mkfifo(fifo, 0o600) == 0)
      let writer = OSThread(name: "writer") { try? Data("token\n".utf8).write(to: URL(fileURLWithPath: fifo)) }
      #expect(try readValueFile(fifo, acceptsPipe: true) == "token")
      writer.join()
      let endless = #expect(throws: FileProblem.self) { try readSmallFile("/dev/zero", limit: 4096, acceptsPipe: true) }
      #expect(endless?.description.contains("more than 4096 bytes") == true)
    }
  }

  @Test(
    arguments: [
      (0o600, true, nil), (0o640, true, nil), (0o644, false, nil), (0o440, true, nil),
      (0o644, true, "is readable by every user of this machine (mode 0644)"), (0o602, false, "every user"),
      (0o646, true, "is writable by every user of this machine (mode 0646)"),
    ] as [(mode_t, Bool, String?)]) func permissionsOfOthersAreSeen(mode: mode_t, isSecret: Bool, words: String?) throws
  {
    try temporaryFolder { folder in
      let file = folder.appendingPathComponent("file").path
      try Data().write(to: URL(fileURLWithPath: file))
      #expect(chmod(file, mode) == 0)
      let warning = permissionWarning(file, isSecret: isSecret)
      #expect((warning == nil) == (words == nil), "\(warning ?? "none")")
      if let words { #expect(warning?.contains(words) == true && warning?.hasPrefix(file) == true) }
    }
  }
}
