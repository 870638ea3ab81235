internal import CMongoC

/// libmongoc's own start-up, once in a process.
enum MongoLibrary {
  /// Touch it before the first call.
  static let started: Void = {
    // Errors reach us as values; what the library prints besides could hold a URI. Its start-up prints, too.
    mongoc_log_set_handler(nil, nil)
    mongoc_init()
  }()
}
