// SPDX-License-Identifier: Apache-2.0
internal import ProtobufMessages

/// The details on the wire: a list of `google.protobuf.Any`, with the same bytes on both transports. On gRPC the list
/// is the field `details` of a `google.rpc.Status`, in the framed protocol the field `details` of a `Reply`.
extension RPCErrorDetails {
  private static let typePrefix = "type.googleapis.com/google.rpc."

  /// Encodes the details as a `repeated google.protobuf.Any`: `ErrorInfo`, then `BadRequest`, then `RetryInfo`, each if
  /// there is one.
  ///
  /// - Parameters:
  ///   - field: The number of the field in the message that contains the list.
  ///   - out: The encoded bytes, to which the fields are appended.
  public func encode(field: UInt32, to out: inout [UInt8]) {
    if !reason.isEmpty {
      Self.append("ErrorInfo", field, to: &out) { info in
        ProtobufWriter.string(1, reason, to: &info)
        ProtobufWriter.string(2, domain, to: &info)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
          ProtobufWriter.message(3, to: &info) { entry in
            ProtobufWriter.string(1, key, to: &entry)
            ProtobufWriter.string(2, value, to: &entry)
          }
        }
      }
    }
    if !violations.isEmpty {
      Self.append("BadRequest", field, to: &out) { request in
        for violation in violations {
          ProtobufWriter.message(1, to: &request) { entry in
            ProtobufWriter.string(1, violation.field, to: &entry)
            ProtobufWriter.string(2, violation.problem, to: &entry)
          }
        }
      }
    }
    if let milliseconds = retryDelayMilliseconds {
      Self.append("RetryInfo", field, to: &out) { info in
        ProtobufWriter.message(1, to: &info) { duration in
          ProtobufWriter.signed(1, milliseconds / 1000, to: &duration)
          ProtobufWriter.signed(2, milliseconds % 1000 * 1_000_000, to: &duration)
        }
      }
    }
  }

  private static func append(
    _ type: String, _ field: UInt32, to out: inout [UInt8], _ body: (inout [UInt8]) -> Void
  ) {
    ProtobufWriter.message(field, to: &out) { any in
      ProtobufWriter.string(1, typePrefix + type, to: &any)
      ProtobufWriter.message(2, to: &any, body)
    }
  }

  /// Decodes the details from the message that contains them. Details of other types, and malformed ones, are ignored.
  ///
  /// - Parameters:
  ///   - message: The encoded message.
  ///   - field: The number of the field that contains the list.
  /// - Returns: The details; nil if the message has none of the known types.
  public static func decode(_ message: UnsafeRawBufferPointer, field: UInt32) -> RPCErrorDetails? {
    var details = RPCErrorDetails()
    forEachMessage(message, field) { any in
      var (type, value) = ("", UnsafeRawBufferPointer(start: nil, count: 0))
      forEachField(any) { number, bytes in
        if number == 1 { type = String(decoding: bytes, as: UTF8.self) } else if number == 2 { value = bytes }
      }
      guard type.hasPrefix(typePrefix) else { return }
      details.add(type.dropFirst(typePrefix.count), value)
    }
    return details == RPCErrorDetails() ? nil : details
  }

  private mutating func add(_ type: Substring, _ value: UnsafeRawBufferPointer) {
    switch type {
    case "ErrorInfo":
      Self.forEachField(value) { number, bytes in
        switch number {
        case 1: reason = String(decoding: bytes, as: UTF8.self)
        case 2: domain = String(decoding: bytes, as: UTF8.self)
        case 3:
          let (key, text) = Self.pair(bytes)
          metadata[key] = text
        default: break
        }
      }
    case "BadRequest":
      Self.forEachMessage(value, 1) { bytes in
        let (field, problem) = Self.pair(bytes)
        violations.append(FieldViolation(field: field, problem: problem))
      }
    case "RetryInfo":
      Self.forEachMessage(value, 1) { bytes in retryDelay = Self.duration(bytes) }
    default: break
    }
  }

  /// Reads the fields 1 and 2 of a message as texts.
  private static func pair(_ message: UnsafeRawBufferPointer) -> (String, String) {
    var result = ("", "")
    forEachField(message) { number, bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      if number == 1 { result.0 = text } else if number == 2 { result.1 = text }
    }
    return result
  }

  /// Reads a `google.protobuf.Duration`. One outside of its range, 10,000 years, counts as 0.
  private static func duration(_ message: UnsafeRawBufferPointer) -> Duration {
    var (seconds, nanoseconds): (Int64, Int64) = (0, 0)
    var reader = ProtobufReader(message)
    while let field = try? reader.next() {
      guard case .varint(let value) = field.value else { continue }
      if field.number == 1 { seconds = Int64(bitPattern: value) }
      if field.number == 2 { nanoseconds = Int64(bitPattern: value) }
    }
    guard (0...315_576_000_000).contains(seconds), (0..<1_000_000_000).contains(nanoseconds) else { return .zero }
    return .seconds(seconds) + .nanoseconds(nanoseconds)
  }

  private static func forEachMessage(
    _ message: UnsafeRawBufferPointer, _ wanted: UInt32, _ body: (UnsafeRawBufferPointer) -> Void
  ) {
    forEachField(message) { number, bytes in
      if number == wanted { body(bytes) }
    }
  }

  /// Passes each field with a string, bytes or a message to `body`, up to the end or to the first malformed field.
  private static func forEachField(
    _ message: UnsafeRawBufferPointer, _ body: (UInt32, UnsafeRawBufferPointer) -> Void
  ) {
    var reader = ProtobufReader(message)
    while let field = try? reader.next() {
      if case .bytes(let bytes) = field.value { body(field.number, bytes) }
    }
  }
}
