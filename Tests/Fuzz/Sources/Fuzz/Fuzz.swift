// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The fuzz targets. The environment variable `FUZZ_TARGET` selects one, because libFuzzer parses the arguments.
enum FuzzTarget: String, CaseIterable {
  case frame, client, grpc, grpcclient, request, document, pagetoken, pattern

  static let chosen: FuzzTarget = {
    guard let name = getenv("FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: name)) else {
      fatalError("FUZZ_TARGET is none of \(allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return target
  }()

  func run(_ input: UnsafeRawBufferPointer) {
    switch self {
    case .frame: fuzzFrame(input)
    case .client: fuzzClient(input)
    case .grpc: fuzzGRPC(input)
    case .grpcclient: fuzzGRPCClient(input)
    case .request: fuzzRequest(input)
    case .document: fuzzDocument(input)
    case .pagetoken: fuzzPageToken(input)
    case .pattern: fuzzPattern(input)
    }
  }
}

/// Reports a finding if `holds` is false, by a crash, after which libFuzzer stores the input.
func expect(_ holds: Bool, _ finding: @autoclosure () -> String) {
  if !holds { fatalError(finding()) }
}

@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  FuzzTarget.chosen.run(UnsafeRawBufferPointer(start: data, count: count))
  return 0
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// SwiftPM links the executable's own entry point, so this calls the driver of libFuzzer instead of its `main`.
@main enum Fuzz {
  static func main() {
    var count = CommandLine.argc
    var arguments = CommandLine.unsafeArgv
    exit(runDriver(&count, &arguments, testOneInput))
  }
}
