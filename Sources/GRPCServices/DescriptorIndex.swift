// SPDX-License-Identifier: Apache-2.0
internal import ProtobufMessages

/// The `.proto` files that describe the services, indexed by name and by declaration. It is immutable.
struct DescriptorIndex: Sendable {
  private struct File {
    /// The encoded `google.protobuf.FileDescriptorProto`.
    let bytes: [UInt8]
    /// The encoded field `file_descriptor_response` of a reply, with the file and all that it imports. All replies
    /// share it.
    var response: [UInt8] = []
    /// The names of the files that it imports.
    let imports: [String]
  }

  private var files: [String: File] = [:]
  /// The name of the file that contains a declaration, by the full name of the declaration.
  private var symbols: [String: String] = [:]
  private var messages: Set<String> = []

  /// Reads a `google.protobuf.FileDescriptorSet`, which must contain every file that one of its files imports.
  init(_ descriptorSet: UnsafeRawBufferPointer) throws(ProtobufError) {
    var reader = ProtobufReader(descriptorSet)
    while let field = try reader.next() {
      if field.number == 1, case .bytes(let file) = field.value { try add(file) }
    }
    for name in files.keys {
      let response = response(closure: closure(ofFile: name))
      files[name]?.response = response
    }
  }

  /// The encoded field `file_descriptor_response` for a file, which is followed by all that it imports; nil if the file
  /// is unknown.
  func response(forFile name: String) -> [UInt8]? { files[name]?.response }

  /// The encoded field `file_descriptor_response` for the file that declares a message, field, enum, enum value,
  /// service or method; nil if the declaration is unknown.
  func response(forSymbol name: String) -> [UInt8]? { symbols[name].flatMap { response(forFile: $0) } }

  private func response(closure: [[UInt8]]) -> [UInt8] {
    var bytes: [UInt8] = []
    ProtobufWriter.message(4, to: &bytes) { response in
      for file in closure { ProtobufWriter.bytes(1, file, to: &response) }
    }
    return bytes
  }

  private func closure(ofFile name: String) -> [[UInt8]] {
    var names = [name]
    var next = 0
    while next < names.count {
      for name in files[names[next]]?.imports ?? [] where !names.contains(name) { names.append(name) }
      next += 1
    }
    return names.compactMap { files[$0]?.bytes }
  }

  func isMessage(_ name: String) -> Bool { messages.contains(name) }

  // MARK: Reading. The numbers are those of google/protobuf/descriptor.proto.

  private mutating func add(_ bytes: UnsafeRawBufferPointer) throws(ProtobufError) {
    let file = try Fields(bytes)
    let name = file.text(1)
    files[name] = File(bytes: Array(bytes), imports: file.texts(3))
    let package = file.text(2)
    for message in file.all(4) { try add(message: message, in: package, of: name) }
    for type in file.all(5) { try add(enumeration: type, in: package, of: name) }
    for service in file.all(6) {
      let service = try Fields(service)
      let fullName = add(service.text(1), in: package, of: name)
      for method in service.all(2) { add(try Fields(method).text(1), in: fullName, of: name) }
    }
  }

  private mutating func add(
    message bytes: UnsafeRawBufferPointer, in scope: String, of file: String
  ) throws(ProtobufError) {
    let message = try Fields(bytes)
    let fullName = add(message.text(1), in: scope, of: file)
    messages.insert(fullName)
    // These are the fields and the oneofs.
    for member in message.all(2) + message.all(8) { add(try Fields(member).text(1), in: fullName, of: file) }
    for nested in message.all(3) { try add(message: nested, in: fullName, of: file) }
    for type in message.all(4) { try add(enumeration: type, in: fullName, of: file) }
  }

  private mutating func add(
    enumeration bytes: UnsafeRawBufferPointer, in scope: String, of file: String
  ) throws(ProtobufError) {
    let type = try Fields(bytes)
    let fullName = add(type.text(1), in: scope, of: file)
    for value in type.all(2) {
      let name = try Fields(value).text(1)
      // An enum value is a sibling of its type, as in C++. Some clients request it as a child of its type.
      add(name, in: scope, of: file)
      add(name, in: fullName, of: file)
    }
  }

  @discardableResult
  private mutating func add(_ name: String, in scope: String, of file: String) -> String {
    let fullName = scope.isEmpty ? name : "\(scope).\(name)"
    symbols[fullName] = file
    return fullName
  }
}

/// The length-delimited fields of a message.
private struct Fields {
  private var fields: [(number: UInt32, bytes: UnsafeRawBufferPointer)] = []

  init(_ message: UnsafeRawBufferPointer) throws(ProtobufError) {
    var reader = ProtobufReader(message)
    while let field = try reader.next() {
      if case .bytes(let bytes) = field.value { fields.append((field.number, bytes)) }
    }
  }

  func all(_ number: UInt32) -> [UnsafeRawBufferPointer] {
    fields.filter { $0.number == number }.map(\.bytes)
  }

  func texts(_ number: UInt32) -> [String] { all(number).map { String(decoding: $0, as: UTF8.self) } }
  func text(_ number: UInt32) -> String { texts(number).last ?? "" }
}
