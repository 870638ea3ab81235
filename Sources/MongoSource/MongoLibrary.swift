// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ConfigLookupCore
internal import Glibc

/// Initializes libmongoc once per process, and captures what it logs.
enum MongoLibrary {
  /// Must be accessed before the first call of libmongoc.
  static let started: Void = {
    // Errors are returned as values. The library's log output could contain a URI, and its initialization logs, too.
    mongoc_log_set_handler(
      { _, _, message, _ in
        guard let message else { return }
        let line = String(cString: message)
        MongoLibrary.recordings.withLock { $0[pthread_self()]?.append(line) }
      }, nil)
    mongoc_init()
  }()

  /// The captured log lines, for each thread that records them.
  private static let recordings = Locked<[pthread_t: [String]]>([:])

  /// Runs `body`, and returns its result and what libmongoc logged meanwhile on this thread.
  static func withWarnings<Result>(_ body: () -> Result) -> (Result, [String]) {
    let thread = pthread_self()
    recordings.withLock { $0[thread] = [] }
    let result = body()
    return (result, recordings.withLock { $0.removeValue(forKey: thread) } ?? [])
  }
}
