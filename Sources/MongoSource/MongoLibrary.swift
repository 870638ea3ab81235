internal import CMongoC
internal import Core
internal import Glibc

/// libmongoc's own start-up, once in a process, and what it logs.
enum MongoLibrary {
  /// Touch it before the first call.
  static let started: Void = {
    // Errors reach us as values; what the library prints besides could hold a URI. Its start-up prints, too.
    mongoc_log_set_handler(
      { _, _, message, _ in
        guard let message else { return }
        let line = String(cString: message)
        MongoLibrary.recordings.withLock { $0[pthread_self()]?.append(line) }
      }, nil)
    mongoc_init()
  }()

  /// What libmongoc has logged, by each thread that asks for it.
  private static let recordings = Locked<[pthread_t: [String]]>([:])

  /// Runs `body`, and gives what libmongoc logs meanwhile on this thread.
  static func withWarnings<Result>(_ body: () -> Result) -> (Result, [String]) {
    let thread = pthread_self()
    recordings.withLock { $0[thread] = [] }
    let result = body()
    return (result, recordings.withLock { $0.removeValue(forKey: thread) } ?? [])
  }
}
