// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore
internal import Foundation
internal import TestSupport
internal import Testing

@testable internal import ConfigLookupServer

/// The reloading of files that change.
@Suite struct FileWatcherTests {
  private struct NoDescriptors: Error, CustomStringConvertible {
    var description: String { "Too many open files" }
  }

  /// Regression test: a reload that failed for a reason in the server itself was never repeated, because the file did
  /// not change again. A revoked token stayed valid.
  @Test func whatCouldNotBeReadIsReadAgainAlthoughItDoesNotChange() throws {
    try temporaryFolder { folder in
      let file = folder.appendingPathComponent("credentials").path
      try "1".write(toFile: file, atomically: true, encoding: .utf8)
      let log = CapturedLog()
      let attempts = Locked(0)
      let group = FileWatcher.Group(name: "credentials", files: WatchedFiles([file])) {
        let attempt = attempts.withLock { count in
          count += 1
          return count
        }
        if attempt <= 3 { throw NoDescriptors() }
      }
      let watcher = FileWatcher([group], every: .milliseconds(10), logger: log.logger)
      watcher.start()
      defer { watcher.stop() }
      try "2".write(toFile: file, atomically: true, encoding: .utf8)
      try poll("it is read in the end") { log.lines(event: "files_reloaded").count == 1 }
      #expect(attempts.withLock { $0 } == 4 && watcher.failedCount == 0)
      #expect(log.lines(event: "files_not_reloaded").count == 1, "one line for one problem")
    }
  }
}
