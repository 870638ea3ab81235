// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Logs the errors of a source, and its recovery. The same error is logged at most once a minute, and not for every
/// retry. Any thread may use it.
final class SourceComplaints: Sendable {
  private static var repeatInterval: Duration { .seconds(60) }

  private let entity: String
  private let clock: any TimeSource
  private let logger: Logger
  /// For each event, the last logged error and the time at which it was logged.
  private let said = Locked<[String: (text: String, time: MonotonicTime)]>([:])

  init(entity: String, clock: any TimeSource, logger: Logger) {
    self.entity = entity
    self.clock = clock
    self.logger = logger
  }

  func log(_ error: SourceError, _ event: String) {
    let now = clock.now
    let isNews = said.withLock { said in
      if let last = said[event], last.text == error.message, now.duration(since: last.time) < Self.repeatInterval {
        return false
      }
      said[event] = (error.message, now)
      return true
    }
    guard isNews else { return }
    let fields: KeyValuePairs<String, Logger.Field> = [
      "cache": .string(entity), "code": .integer(Int64(error.code)), "advice": .string(error.advice),
    ]
    if error.kind == .misconfigured {
      logger.error(event, error.message, fields)
    } else {
      logger.warning(event, error.message, fields)
    }
  }

  /// Logs the recovery of the source, if one of these events was logged before.
  func end(_ events: [String]) {
    let wasGone = said.withLock { said in
      let wasGone = events.contains { said[$0] != nil }
      for event in events { said[event] = nil }
      return wasGone
    }
    guard wasGone else { return }
    logger.info("source_back", "The source is reachable again", ["cache": .string(entity)])
  }
}
