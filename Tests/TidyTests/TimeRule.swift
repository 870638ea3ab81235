// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The rule for times: a time is a `Duration`, so that its unit is in the type and not in its name. A number of seconds
/// or milliseconds is for the edges, where another program or a C function determines the unit.
enum TimeRule {
  /// The numbers that are meant, by file, with the reason of each file.
  static let exceptions: [String: (names: Set<String>, reason: String)] = [
    "ChangeStreamCache/CacheReader.swift": (
      ["ttlMilliseconds", "ageMilliseconds"], "compared and sent by each lookup"
    ),
    "CommandLineTool/ToolOptions+Flags.swift": (["milliseconds"], "a flag"),
    "ConfigLookupBSON/BSONValue.swift": (["seconds"], "a field of a BSON timestamp"),
    "ConfigLookupBSON/ExtendedJSON.swift": (["milliseconds"], "a point in time, since 1970"),
    "ConfigLookupBSON/ISO8601.swift": (["milliseconds"], "a point in time, since 1970"),
    "ConfigLookupClient/AgentConfig.swift": (["milliseconds"], "a point in time, since 1970"),
    "ConfigLookupCore/Duration+Numbers.swift": (["seconds", "milliseconds"], "the conversions themselves"),
    "ConfigLookupCore/MonotonicTime.swift": (["milliseconds"], "a point in time since 1970; the age in a reply"),
    "ConfigLookupCore/Revision.swift": (["seconds"], "a point in time, since 1970"),
    "ConfigLookupServer/ServerConfiguration+Limits.swift": (["milliseconds"], "a flag"),
    "ConfigLookupRPC/RPCErrorDetails.swift": (["retryDelayMilliseconds"], "a field of a status"),
    "ConfigModels/AgentConfigDocument.swift": (["backoffMilliseconds"], "a field of documents and messages"),
    "ConfigModels/ProtobufArena+Models.swift": (["milliseconds", "seconds"], "points in time, since 1970"),
    "ConfigModels/Summaries.swift": (["milliseconds"], "a point in time, since 1970"),
    "ConfigModels/SourceConfigDocument.swift": (["timeoutSeconds"], "a field of documents and messages"),
    "FramedTransport/DecodedFrame.swift": (["timeoutMilliseconds"], "a field of a frame"),
    "LookupService/CacheStatus.swift": (["seconds", "startsAfterMilliseconds"], "fields of replies"),
    "LookupService/LookupReply.swift": (
      ["ageMilliseconds", "maximumStalenessMilliseconds"], "fields of requests and replies, compared by each lookup"
    ),
    "LookupService/LookupService.swift": (["maximumStalenessMilliseconds"], "compared by each lookup"),
    "MongoSource/MongoRead.swift": (["seconds"], "filled in by a C function"),
    "ProtobufMessages/MessageTree.swift": (["seconds"], "a field of google.protobuf.Timestamp"),
  ]

  static func breaches(_ file: SourceFile) -> [Breach] {
    let known = exceptions.first { file.path == "Sources/\($0.key)" }?.value.names ?? []
    return numbers(in: file).filter { !known.contains($0.name) }.map {
      Breach(
        file: file.path, line: $0.line, advice: "\($0.name) is a time: make it a Duration, without its unit's name")
    }
  }

  /// The properties, parameters, variables and results of functions that are numbers of seconds or milliseconds.
  static func numbers(in file: SourceFile) -> [(line: Int, name: String)] {
    let code = CodeMask.lines(file.lines)
    return code.indices.flatMap { index in
      // The signature of a function can take several lines.
      let isFunction = code[index].range(of: #"\bfunc "#, options: .regularExpression) != nil
      let text = isFunction ? signature(at: index, in: code) : code[index]
      return patterns.flatMap { names(in: $0.readsSignature ? text : code[index], $0.pattern) }
        .map { (line: index + 1, name: $0) }
    }
  }

  private static let name = #"\b(\w*(?:Seconds|Milliseconds)|seconds|milliseconds)"#
  private static let number = #"\[?(?:Double|Float|U?Int(?:8|16|32|64)?)\b(?!\()"#
  private static let patterns: [(pattern: String, readsSignature: Bool)] = [
    // A property, a parameter, a member of a tuple; then a property by its initial value.
    (name + #"\s*:\s*"# + number, false),
    (#"\b(?:let|var)\s+"# + name + #"\s*=\s*(?:-?\d|U?Int\d*\.)"#, false),
    (#"\bfunc\s+"# + name + #"\b.*->\s*"# + number, true),
  ]

  /// A function from its name to its brace, as one line.
  private static func signature(at first: Int, in code: [String]) -> String {
    var text = ""
    for line in code[first...].prefix(12) {
      text += line + " "
      if line.contains("{") || line.allSatisfy({ $0 == " " }) { break }
    }
    return text.split(separator: "{", omittingEmptySubsequences: false).first.map(String.init) ?? ""
  }

  private static func names(in text: String, _ pattern: String) -> [String] {
    guard let expression = try? NSRegularExpression(pattern: pattern) else { return [pattern] }
    return expression.matches(in: text, range: NSRange(text.startIndex..., in: text)).compactMap {
      Range($0.range(at: 1), in: text).map { String(text[$0]) }
    }
  }
}
