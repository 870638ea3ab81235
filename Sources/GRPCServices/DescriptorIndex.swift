internal import ProtobufMessages

/// The `.proto` files that describe the services, found by name and by what they declare. Immutable.
struct DescriptorIndex: Sendable {
  private struct File {
    /// A `google.protobuf.FileDescriptorProto`.
    let bytes: [UInt8]
    /// The names of the files that it imports.
    let imports: [String]
  }

  private var files: [String: File] = [:]
  /// The full name of a declaration -> the name of its file.
  private var symbols: [String: String] = [:]
  private var messages: Set<String> = []

  /// From a `google.protobuf.FileDescriptorSet`, which holds every file that one of its files imports.
  init(_ descriptorSet: UnsafeRawBufferPointer) throws(ProtobufError) {
    var reader = ProtobufReader(descriptorSet)
    while let field = try reader.next() {
      if field.number == 1, case .bytes(let file) = field.value { try add(file) }
    }
  }

  /// The file and all that it imports, itself first; nil for one that is not known.
  func closure(ofFile name: String) -> [[UInt8]]? {
    guard files[name] != nil else { return nil }
    var names = [name]
    var next = 0
    while next < names.count {
      for name in files[names[next]]?.imports ?? [] where !names.contains(name) { names.append(name) }
      next += 1
    }
    return names.compactMap { files[$0]?.bytes }
  }

  /// The file that declares a message, field, enum, value, service or method, and all that it imports.
  func closure(ofSymbol name: String) -> [[UInt8]]? {
    symbols[name].flatMap { closure(ofFile: $0) }
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
    // Fields and oneofs.
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
      // As in C++ a value is its type's sibling; some clients ask for it as its child.
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

/// The fields of a message that hold bytes.
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
