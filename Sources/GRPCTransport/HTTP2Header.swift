internal import CNGHTTP2

/// The headers of a reply that are the same for every call: made once, pointed to ever after.
enum HTTP2Header {
  /// `:status: 200`, `content-type: application/grpc`: before the first message.
  static let reply = constant([(":status", "200"), ("content-type", "application/grpc")])
  /// `grpc-status: 0`: behind the last one.
  static let okTrailers = constant([("grpc-status", "0")])
  /// For who has sent another method than POST.
  static let methodNotAllowed = constant([(":status", "405"), ("allow", "POST"), ("content-type", "text/plain")])
  /// For who has sent another content type than gRPC's.
  static let unsupportedMediaType = constant([(":status", "415"), ("content-type", "text/plain")])

  /// Headers in memory that is never given back, so that nghttp2 need not copy it.
  struct Constant: @unchecked Sendable {
    // Safe to share: the memory is never written again, and nghttp2 takes it as constant.
    let fields: UnsafeMutableBufferPointer<nghttp2_nv>
  }

  private static func constant(_ pairs: [(StaticString, StaticString)]) -> Constant {
    let fields = UnsafeMutableBufferPointer<nghttp2_nv>.allocate(capacity: pairs.count)
    for (index, (name, value)) in pairs.enumerated() {
      fields.initializeElement(
        at: index,
        to: nghttp2_nv(
          name: UnsafeMutablePointer(mutating: name.utf8Start), value: UnsafeMutablePointer(mutating: value.utf8Start),
          namelen: name.utf8CodeUnitCount, valuelen: value.utf8CodeUnitCount,
          flags: UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)))
    }
    return Constant(fields: fields)
  }
}

/// Headers that are made for one call: their bytes in one run.
struct HTTP2HeaderList {
  private var bytes: [UInt8] = []
  /// The ends of name, value, name, value, ...
  private var ends: [Int] = []
  private var isVarying: [Bool] = []

  /// - Parameter isVarying: seldom the same twice, so that the compression's table has no use for it.
  mutating func append(_ name: String, isVarying: Bool = false, _ value: (inout [UInt8]) -> Void) {
    bytes.append(contentsOf: name.utf8)
    ends.append(bytes.count)
    value(&bytes)
    ends.append(bytes.count)
    self.isVarying.append(isVarying)
  }

  mutating func append(_ name: String, _ value: String) {
    append(name) { $0.append(contentsOf: value.utf8) }
  }

  /// Lends the headers as nghttp2 has them; it copies what it keeps.
  func withFields<Result>(_ body: (UnsafeMutableBufferPointer<nghttp2_nv>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { bytes in
      withUnsafeTemporaryAllocation(of: nghttp2_nv.self, capacity: isVarying.count) { fields in
        guard let base = bytes.baseAddress else { return body(UnsafeMutableBufferPointer(rebasing: fields[..<0])) }
        let start = UnsafeMutablePointer(mutating: base)
        var nameStart = 0
        for index in isVarying.indices {
          let (nameEnd, valueEnd) = (ends[2 * index], ends[2 * index + 1])
          fields.initializeElement(
            at: index,
            to: nghttp2_nv(
              name: start + nameStart, value: start + nameEnd, namelen: nameEnd - nameStart,
              valuelen: valueEnd - nameEnd,
              flags: UInt8(isVarying[index] ? NGHTTP2_NV_FLAG_NO_INDEX.rawValue : NGHTTP2_NV_FLAG_NONE.rawValue)))
          nameStart = valueEnd
        }
        return body(fields)
      }
    }
  }
}
