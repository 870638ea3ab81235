// SPDX-License-Identifier: Apache-2.0
internal import CConfigLookupProto
internal import ConfigLookupCore
public import ConfigLookupRPC
internal import ProtobufMessages

/// The services `grpc.reflection.v1.ServerReflection` and `v1alpha`, by which a client without generated code finds the
/// methods and their messages.
public final class ReflectionService: Sendable {
  private static let serviceNames = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]

  /// The encoded field `list_services_response` of a reply.
  private let serviceList: [UInt8]
  private let index: DescriptorIndex

  /// Creates the service.
  ///
  /// - Parameter services: The full names of the services that can be called, except the reflection services.
  public convenience init(services: some Sequence<String>) {
    let bytes = UnsafeRawBufferPointer(start: configlookup_descriptors(), count: configlookup_descriptors_size())
    do throws(ProtobufError) {
      self.init(services: services, index: try DescriptorIndex(bytes))
    } catch {
      preconditionFailure("what script/generate made \(error)")
    }
  }

  init(services: some Sequence<String>, index: DescriptorIndex) {
    var list: [UInt8] = []
    ProtobufWriter.message(6, to: &list) { list in
      for service in (Array(services) + Self.serviceNames).sorted() {
        ProtobufWriter.message(1, to: &list) { ProtobufWriter.string(1, service, to: &$0) }
      }
    }
    serviceList = list
    self.index = index
  }

  /// Returns the methods of the service, for a router. If the server has credentials, only callers with a valid one are
  /// answered.
  ///
  /// - Parameter streamsPerConnection: The maximum number of open streams on one connection.
  /// - Returns: The methods of v1 and of v1alpha.
  public func methods(streamsPerConnection: Int) -> [RPCMethod] {
    Self.serviceNames.map { service in
      RPCMethod(
        service: service, name: "ServerReflectionInfo",
        handler: .bidirectionalStreaming { request, writer throws(RPCStatus) in
          _ = try request.identity?.caller()
          return ReflectionStream(writer: writer, worker: request.worker, identity: request.identity) {
            self.answer($0, to: &$1)
          }
        },
        openCallLimit: RPCOpenCallLimit(
          .reflectionStreams, streamsPerConnection, reason: .reflectionStreamsLimit))
    }
  }

  /// Fills a `ServerReflectionResponse`. The part that is the same for all replies is the body, which they share.
  private func answer(_ request: ReflectionRequest, to reply: inout RPCReply) {
    // The capacity is reserved at once, because an array that grows may take up to twice the memory that is needed.
    reply.head.reserveCapacity(request.host.utf8.count + request.bytes.count + GRPCServiceLimits.reflectionHeadBytes)
    ProtobufWriter.string(1, request.host, to: &reply.head)
    ProtobufWriter.lengthPrefix(2, request.bytes.count, to: &reply.head)
    reply.head.append(contentsOf: request.bytes)
    switch request.question {
    case .fileByName(let name):
      write(index.response(forFile: name), orNone: "no file \"\(name)\"", to: &reply)
    case .fileContainingSymbol(let name):
      write(index.response(forSymbol: name), orNone: "no symbol \"\(name)\"", to: &reply)
    case .fileContainingExtension(let type, let number):
      write(error: .notFound, "no extension \(number) of \"\(type)\"", to: &reply.head)
    case .extensionNumbers(let type):
      guard index.isMessage(type) else {
        return write(error: .notFound, "no message \"\(type)\"", to: &reply.head)
      }
      ProtobufWriter.message(5, to: &reply.head) { ProtobufWriter.string(1, type, to: &$0) }
    case .listServices: reply.body = serviceList
    case .none:
      write(error: .invalidArgument, "message_request: is missing or of an unknown kind", to: &reply.head)
    }
  }

  /// Fills in a `FileDescriptorResponse`, or an error if there is none.
  private func write(_ response: [UInt8]?, orNone problem: @autoclosure () -> String, to reply: inout RPCReply) {
    guard let response else { return write(error: .notFound, problem(), to: &reply.head) }
    reply.body = response
  }

  /// Appends an `ErrorResponse`. The stream continues.
  private func write(error code: RPCStatus.Code, _ message: String, to out: inout [UInt8]) {
    ProtobufWriter.message(7, to: &out) { response in
      ProtobufWriter.unsigned(1, UInt64(code.rawValue), to: &response)
      ProtobufWriter.string(2, message, to: &response)
    }
  }
}
