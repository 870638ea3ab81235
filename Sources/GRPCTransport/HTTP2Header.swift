// SPDX-License-Identifier: Apache-2.0
internal import CNGHTTP2

/// The headers of a reply that are the same for every call. They are created once and then only referenced.
enum HTTP2Header {
  /// The headers before the first message: `:status: 200` and `content-type: application/grpc`.
  static let reply = constant([(":status", "200"), ("content-type", "application/grpc")])
  /// The trailers after the last message of a successful call: `grpc-status: 0`.
  static let okTrailers = constant([("grpc-status", "0")])
  /// The reply to a request with a method other than POST.
  static let methodNotAllowed = constant([(":status", "405"), ("allow", "POST"), ("content-type", "text/plain")])
  /// The reply to a request with a content type other than gRPC's.
  static let unsupportedMediaType = constant([(":status", "415"), ("content-type", "text/plain")])

  /// Headers in memory that is never released, so that nghttp2 need not copy them.
  struct Constant: @unchecked Sendable {
    // This is safe to share: the memory is never written again, and nghttp2 treats it as constant.
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

/// The headers of one call, with all their bytes in one array.
struct HTTP2HeaderList {
  private var bytes: [UInt8] = []
  /// The end offsets of name, value, name, value, and so on.
  private var ends: [Int] = []
  private var isVarying: [Bool] = []

  /// - Parameter isVarying: Whether the value rarely repeats, so that it should not enter HPACK's dynamic table.
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

  /// Passes the headers to `body` in nghttp2's representation. They are valid during the call only; nghttp2 copies
  /// them.
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
