// SPDX-License-Identifier: Apache-2.0
internal import Foundation

/// The reason why bytes are not a JSON array, as the end of a sentence that begins with the name of the file.
struct JSONArrayProblem: Error, CustomStringConvertible {
  let description: String
}

/// Splits a JSON array into the texts of its elements, in order.
///
/// - Parameter bytes: A whole file, without a byte order mark. In JSON, every line end is white space.
/// - Returns: The JSON text of each element.
/// - Throws: The reason why the bytes are not a JSON array, with the line where it is known.
func jsonArrayElements(_ bytes: [UInt8]) throws(JSONArrayProblem) -> [String] {
  guard String(validating: bytes, as: UTF8.self) != nil else {
    throw JSONArrayProblem(description: "is not UTF-8; save the file as UTF-8")
  }
  let value: Any
  do {
    value = try JSONSerialization.jsonObject(with: Data(bytes), options: .fragmentsAllowed)
  } catch {
    let detail = (error as NSError).userInfo["NSDebugDescription"] as? String ?? "\(error)"
    throw JSONArrayProblem(description: "is not JSON: \(detail) The file is one array of documents: [{...}, {...}]")
  }
  guard let array = value as? [Any] else {
    throw JSONArrayProblem(description: "is not an array; write the documents between [ and ]")
  }
  for (index, element) in array.enumerated() where holdsNUL(element) {
    throw JSONArrayProblem(
      description: "document \(index): a field's name contains a NUL (\\u0000); BSON has no such name")
  }
  let elements = split(bytes)
  precondition(elements.count == array.count, "both parsers find the same elements")
  return elements
}

/// Whether the name of any field contains a NUL. libbson would truncate the name there.
private func holdsNUL(_ value: Any) -> Bool {
  switch value {
  case let object as [String: Any]: object.contains { $0.key.utf8.contains(0) || holdsNUL($0.value) }
  case let array as [Any]: array.contains(where: holdsNUL)
  default: false
  }
}

/// Splits an array, which has been parsed as JSON before, at the commas between its elements.
private func split(_ bytes: [UInt8]) -> [String] {
  var elements: [String] = []
  var depth = 0
  var isInString = false
  var start: Int?
  var index = 0
  bytes.withUnsafeBufferPointer { bytes in
    func add(to end: Int) {
      guard let first = start else { return }
      elements.append(String(decoding: bytes[first..<end], as: UTF8.self))
      start = nil
    }
    while index < bytes.count {
      let byte = bytes[index]
      if isInString {
        if byte == UInt8(ascii: "\\") { index += 1 } else if byte == UInt8(ascii: "\"") { isInString = false }
        index += 1
        continue
      }
      switch byte {
      case UInt8(ascii: "["), UInt8(ascii: "{"):
        depth += 1
        if depth == 2, start == nil { start = index }
      case UInt8(ascii: "]"), UInt8(ascii: "}"):
        depth -= 1
        if depth == 0 { add(to: index) }
      case UInt8(ascii: ",") where depth == 1: add(to: index)
      case UInt8(ascii: " "), UInt8(ascii: "\n"), UInt8(ascii: "\r"), UInt8(ascii: "\t"): break
      default:
        if depth == 1, start == nil { start = index }
        isInString = byte == UInt8(ascii: "\"")
      }
      index += 1
    }
  }
  return elements
}
