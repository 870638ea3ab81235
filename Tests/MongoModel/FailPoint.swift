// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupBSON

/// The fail point `failCommand`: commands fail, hang up or wait.
public struct FailPoint: Sendable {
  /// The names of the commands.
  public var commands: Set<String>
  /// The error; nil if the command is not to fail.
  public var error: CommandError?
  /// Whether the connection is closed instead of an answer.
  public var closesConnection = false
  /// How long the command waits before it runs, in seconds.
  public var delay = 0.0
  /// How often it applies; `Int.max` for always.
  public var times = Int.max
  /// The application name of the connections that it applies to; nil for all.
  public var applicationName: String?
  /// The index of the member that it applies to; nil for all.
  public var member: Int?

  /// Creates a fail point.
  ///
  /// - Parameters:
  ///   - commands: the names of the commands.
  ///   - error: the error; nil for none.
  public init(_ commands: Set<String>, error: CommandError? = nil) {
    self.commands = commands
    self.error = error
  }

  /// Reads the fields of `configureFailPoint`; nil if it is switched off.
  init?(_ command: BSONDocument) {
    guard let data = command.field("data")?.document, command.field("mode")?.text != "off" else { return nil }
    // The second fail point is of commands that have found their cursor, which makes no difference here.
    let isGetMore = command.field("configureFailPoint")?.text == "failGetMoreAfterCursorCheckout"
    commands = isGetMore ? ["getMore"] : Set(data.field("failCommands")?.elements.compactMap(\.text) ?? [])
    times = command.field("mode")?.document?.field("times")?.integer.map { Int($0) } ?? Int.max
    applicationName = data.field("appName")?.text
    closesConnection = data.field("closeConnection")?.isTrue ?? false
    if data.field("blockConnection")?.isTrue == true {
      delay = Double(data.field("blockTimeMS")?.integer ?? 0) / 1000
    }
    if let code = data.field("errorCode")?.integer {
      var error = CommandError(Int32(clamping: code), "Location\(code)", "Failing command via 'failCommand' failpoint")
      error.isBeforeCommand = !isGetMore
      if let labels = data.field("errorLabels") {
        error.labels = labels.elements.compactMap(\.text)
        error.hasOnlyItsLabels = true
      }
      self.error = error
    }
  }
}
