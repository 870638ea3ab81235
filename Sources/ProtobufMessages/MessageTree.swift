// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto

/// The fields of a message without its C types: the common source of all forms of output.
package indirect enum MessageTree {
  /// Any text.
  case text(String)
  /// JSON text in a field `*_json`.
  case json(String)
  /// A 64-bit integer, which JSON has as a string.
  case longNumber(String)
  /// Any other number.
  case number(String)
  /// A boolean.
  case bool(Bool)
  /// A repeated field.
  case list([MessageTree])
  /// A message or a map, with its fields in order.
  case object([(name: String, value: MessageTree)])
}

/// Reads a message by its descriptor. The descriptor and the memory layout of the fields agree, because protoc-c
/// generates both.
struct MessageReader {
  let includesDefaults: Bool

  func tree(of message: UnsafeRawPointer) -> MessageTree {
    guard let descriptor = message.assumingMemoryBound(to: ProtobufCMessage.self).pointee.descriptor else {
      return .object([])
    }
    if String(cString: descriptor.pointee.name) == "google.protobuf.Timestamp" { return .text(timestamp(message)) }
    var fields: [(name: String, value: MessageTree)] = []
    for field in UnsafeBufferPointer(start: descriptor.pointee.fields, count: Int(descriptor.pointee.n_fields)) {
      guard let value = value(of: field, in: message) else { continue }
      fields.append((String(cString: field.name), value))
    }
    return .object(fields)
  }

  private func value(of field: ProtobufCFieldDescriptor, in message: UnsafeRawPointer) -> MessageTree? {
    let place = message + Int(field.offset)
    if field.label == PROTOBUF_C_LABEL_REPEATED { return list(of: field, in: message) }
    let isOneOf = field.flags & UInt32(PROTOBUF_C_FIELD_FLAG_ONEOF.rawValue) != 0
    if isOneOf, (message + Int(field.quantifier_offset)).load(as: UInt32.self) != field.id { return nil }
    if field.type == PROTOBUF_C_TYPE_MESSAGE {
      return place.load(as: UnsafeRawPointer?.self).map(tree(of:))
    }
    // A oneof member that is set is printed even if it is zero.
    return scalar(at: place, field, keepsDefault: isOneOf || includesDefaults)
  }

  private func list(of field: ProtobufCFieldDescriptor, in message: UnsafeRawPointer) -> MessageTree? {
    let count = (message + Int(field.quantifier_offset)).load(as: Int.self)
    let start = (message + Int(field.offset)).load(as: UnsafeRawPointer?.self)
    let isMap = field.type == PROTOBUF_C_TYPE_MESSAGE && isMapEntry(field)
    guard count > 0, let start else { return includesDefaults ? (isMap ? .object([]) : .list([])) : nil }
    if isMap { return map(start, count: count) }
    let stride = size(of: field.type)
    return .list(
      (0..<count).compactMap { index in
        let place = start + index * stride
        if field.type == PROTOBUF_C_TYPE_MESSAGE { return place.load(as: UnsafeRawPointer?.self).map(tree(of:)) }
        return scalar(at: place, field, keepsDefault: true)
      })
  }

  /// The generated C represents a map as a list of `MapEntry {key = 1, value = 2}`.
  private func isMapEntry(_ field: ProtobufCFieldDescriptor) -> Bool {
    guard let descriptor = field.descriptor?.assumingMemoryBound(to: ProtobufCMessageDescriptor.self).pointee
    else { return false }
    return String(cString: descriptor.short_name) == "MapEntry" && descriptor.n_fields == 2
  }

  private func map(_ start: UnsafeRawPointer, count: Int) -> MessageTree {
    let all = MessageReader(includesDefaults: true)
    return .object(
      (0..<count).compactMap { index in
        let place = start + index * MemoryLayout<UnsafeRawPointer>.stride
        guard let entry = place.load(as: UnsafeRawPointer?.self), case .object(let fields) = all.tree(of: entry),
          fields.count == 2, case .text(let key) = fields[0].value
        else { return nil }
        return (key, fields[1].value)
      })
  }

  private func scalar(at place: UnsafeRawPointer, _ field: ProtobufCFieldDescriptor, keepsDefault: Bool)
    -> MessageTree?
  {
    switch field.type {
    case PROTOBUF_C_TYPE_INT32, PROTOBUF_C_TYPE_SINT32, PROTOBUF_C_TYPE_SFIXED32:
      let number = place.load(as: Int32.self)
      return number == 0 && !keepsDefault ? nil : .number("\(number)")
    case PROTOBUF_C_TYPE_UINT32, PROTOBUF_C_TYPE_FIXED32:
      let number = place.load(as: UInt32.self)
      return number == 0 && !keepsDefault ? nil : .number("\(number)")
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64:
      let number = place.load(as: Int64.self)
      return number == 0 && !keepsDefault ? nil : .longNumber("\(number)")
    case PROTOBUF_C_TYPE_UINT64, PROTOBUF_C_TYPE_FIXED64:
      let number = place.load(as: UInt64.self)
      return number == 0 && !keepsDefault ? nil : .longNumber("\(number)")
    case PROTOBUF_C_TYPE_FLOAT: return real(Double(place.load(as: Float.self)), keepsDefault)
    case PROTOBUF_C_TYPE_DOUBLE: return real(place.load(as: Double.self), keepsDefault)
    case PROTOBUF_C_TYPE_BOOL:
      let bool = place.load(as: protobuf_c_boolean.self) != 0
      return bool || keepsDefault ? .bool(bool) : nil
    case PROTOBUF_C_TYPE_ENUM: return enumeration(place.load(as: Int32.self), field, keepsDefault)
    case PROTOBUF_C_TYPE_BYTES:
      return text(place.load(as: ProtobufCBinaryData.self).repairedText, field, keepsDefault)
    case PROTOBUF_C_TYPE_STRING:
      let start = place.load(as: UnsafePointer<CChar>?.self)
      return text(start.map { String(cString: $0) } ?? "", field, keepsDefault)
    default: return nil
    }
  }

  private func text(_ text: String, _ field: ProtobufCFieldDescriptor, _ keepsDefault: Bool) -> MessageTree? {
    if text.isEmpty { return keepsDefault ? .text("") : nil }
    return String(cString: field.name).hasSuffix("_json") ? .json(text) : .text(text)
  }

  private func enumeration(_ value: Int32, _ field: ProtobufCFieldDescriptor, _ keepsDefault: Bool) -> MessageTree? {
    if value == 0, !keepsDefault { return nil }
    let descriptor = field.descriptor?.assumingMemoryBound(to: ProtobufCEnumDescriptor.self)
    guard let known = protobuf_c_enum_descriptor_get_value(descriptor, value) else { return .number("\(value)") }
    return .text(String(cString: known.pointee.name))
  }

  private func real(_ number: Double, _ keepsDefault: Bool) -> MessageTree? {
    if number == 0, !keepsDefault { return nil }
    if number.isNaN { return .text("NaN") }
    if number.isInfinite { return .text(number < 0 ? "-Infinity" : "Infinity") }
    return .number("\(number)")
  }

  private func size(of type: ProtobufCType) -> Int {
    switch type {
    case PROTOBUF_C_TYPE_INT64, PROTOBUF_C_TYPE_SINT64, PROTOBUF_C_TYPE_SFIXED64, PROTOBUF_C_TYPE_UINT64,
      PROTOBUF_C_TYPE_FIXED64, PROTOBUF_C_TYPE_DOUBLE:
      8
    case PROTOBUF_C_TYPE_BYTES: MemoryLayout<ProtobufCBinaryData>.stride
    case PROTOBUF_C_TYPE_MESSAGE, PROTOBUF_C_TYPE_STRING: MemoryLayout<UnsafeRawPointer>.stride
    default: 4
    }
  }

  /// Finds the fields `seconds` = 1 and `nanos` = 2 by the descriptor, so that this target needs no generated header.
  private func timestamp(_ message: UnsafeRawPointer) -> String {
    guard let descriptor = message.assumingMemoryBound(to: ProtobufCMessage.self).pointee.descriptor else { return "" }
    var seconds: Int64 = 0
    var nanoseconds: Int32 = 0
    for field in UnsafeBufferPointer(start: descriptor.pointee.fields, count: Int(descriptor.pointee.n_fields)) {
      let place = message + Int(field.offset)
      if field.id == 1 { seconds = place.load(as: Int64.self) }
      if field.id == 2 { nanoseconds = place.load(as: Int32.self) }
    }
    return rfc3339(seconds: seconds, nanoseconds: nanoseconds)
  }
}

/// Formats a time as `2026-01-09T00:00:00.250Z`. Times outside of the years 1 to 9999, which this format cannot
/// express, are formatted as seconds since 1970, e.g. `-1s`.
func rfc3339(seconds: Int64, nanoseconds: Int32) -> String {
  guard (-62_135_596_800...253_402_300_799).contains(seconds), (0...999_999_999).contains(nanoseconds) else {
    return "\(seconds)s"
  }
  let days = (seconds >= 0 ? seconds : seconds - 86_399) / 86_400
  let time = seconds - days * 86_400
  // The proleptic Gregorian calendar, with years that begin in March.
  let shifted = days + 719_468
  let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
  let dayOfEra = shifted - era * 146_097
  let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
  let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
  let march = (5 * dayOfYear + 2) / 153
  let month = march < 10 ? march + 3 : march - 9
  let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  let day = dayOfYear - (153 * march + 2) / 5 + 1

  var text = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
  text += "T\(padded(time / 3600, 2)):\(padded(time / 60 % 60, 2)):\(padded(time % 60, 2))"
  let fraction = Int64(nanoseconds)
  if fraction % 1_000_000 == 0 {
    if fraction != 0 { text += ".\(padded(fraction / 1_000_000, 3))" }
  } else if fraction % 1000 == 0 {
    text += ".\(padded(fraction / 1000, 6))"
  } else {
    text += ".\(padded(fraction, 9))"
  }
  return text + "Z"
}

private func padded(_ number: Int64, _ width: Int) -> String {
  let digits = String(number)
  return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
