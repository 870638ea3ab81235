internal import CConfigLookupProto
internal import ProtobufMessages
public import RPC

/// `grpc.reflection.v1.ServerReflection`, and the same as `v1alpha`: a client without stubs learns by it what can be
/// called, and how.
public final class ReflectionService: Sendable {
  private static let serviceNames = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]

  private let services: [String]
  private let index: DescriptorIndex

  /// `services` are those that can be called, beside this one.
  public convenience init(services: some Sequence<String>) {
    let bytes = UnsafeRawBufferPointer(start: configlookup_descriptors(), count: configlookup_descriptors_size())
    do throws(ProtobufError) {
      self.init(services: services, index: try DescriptorIndex(bytes))
    } catch {
      preconditionFailure("what script/generate made \(error)")
    }
  }

  init(services: some Sequence<String>, index: DescriptorIndex) {
    self.services = (Array(services) + Self.serviceNames).sorted()
    self.index = index
  }

  /// The methods, for a router.
  public var methods: [RPCMethod] {
    Self.serviceNames.map { service in
      RPCMethod(
        service: service, name: "ServerReflectionInfo",
        handler: .bidirectionalStreaming { _, writer in
          ReflectionStream(writer: writer) { self.answer($0, to: &$1) }
        })
    }
  }

  /// Writes a `ServerReflectionResponse`.
  private func answer(_ request: ReflectionRequest, to out: inout [UInt8]) {
    ProtobufWriter.string(1, request.host, to: &out)
    ProtobufWriter.lengthPrefix(2, request.bytes.count, to: &out)
    out.append(contentsOf: request.bytes)
    switch request.question {
    case .fileByName(let name):
      write(index.closure(ofFile: name), orNone: "no file \"\(name)\"", to: &out)
    case .fileContainingSymbol(let name):
      write(index.closure(ofSymbol: name), orNone: "no symbol \"\(name)\"", to: &out)
    case .fileContainingExtension(let type, let number):
      write(error: .notFound, "no extension \(number) of \"\(type)\"", to: &out)
    case .extensionNumbers(let type):
      guard index.isMessage(type) else { return write(error: .notFound, "no message \"\(type)\"", to: &out) }
      ProtobufWriter.message(5, to: &out) { ProtobufWriter.string(1, type, to: &$0) }
    case .listServices:
      ProtobufWriter.message(6, to: &out) { list in
        for service in services {
          ProtobufWriter.message(1, to: &list) { ProtobufWriter.string(1, service, to: &$0) }
        }
      }
    case .none:
      write(error: .invalidArgument, "message_request: nothing is asked that is known here", to: &out)
    }
  }

  /// A `FileDescriptorResponse`, or that there is no such thing.
  private func write(_ files: [[UInt8]]?, orNone problem: @autoclosure () -> String, to out: inout [UInt8]) {
    guard let files else { return write(error: .notFound, problem(), to: &out) }
    ProtobufWriter.message(4, to: &out) { response in
      for file in files { ProtobufWriter.bytes(1, file, to: &response) }
    }
  }

  /// An `ErrorResponse`: the stream goes on.
  private func write(error code: RPCStatus.Code, _ message: String, to out: inout [UInt8]) {
    ProtobufWriter.message(7, to: &out) { response in
      ProtobufWriter.unsigned(1, UInt64(code.rawValue), to: &response)
      ProtobufWriter.string(2, message, to: &response)
    }
  }
}
