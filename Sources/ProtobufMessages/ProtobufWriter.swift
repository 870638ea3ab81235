/// Writes the wire format of protobuf field by field, straight into a buffer, for what is written on every call.
///
/// As in proto3, a field of value zero (or an empty string) is left out; write fields in order of number and the bytes
/// are those that protobuf-c makes. https://protobuf.dev/programming-guides/encoding/
public enum ProtobufWriter {
  /// A number in 1 to 10 bytes.
  @inlinable
  public static func varint(_ value: UInt64, to out: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      out.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    out.append(UInt8(truncatingIfNeeded: rest))
  }

  /// How many bytes ``varint(_:to:)`` writes.
  @inlinable
  public static func varintSize(_ value: UInt64) -> Int {
    (70 - (value | 1).leadingZeroBitCount) / 7
  }

  /// A `uint64`, `uint32` or enum.
  @inlinable
  public static func unsigned(_ field: UInt32, _ value: UInt64, to out: inout [UInt8]) {
    guard value != 0 else { return }
    tag(field, wireType: 0, to: &out)
    varint(value, to: &out)
  }

  /// An `int64` or `int32`: a negative one takes 10 bytes.
  @inlinable
  public static func signed(_ field: UInt32, _ value: Int64, to out: inout [UInt8]) {
    unsigned(field, UInt64(bitPattern: value), to: &out)
  }

  @inlinable
  public static func bool(_ field: UInt32, _ value: Bool, to out: inout [UInt8]) {
    unsigned(field, value ? 1 : 0, to: &out)
  }

  /// A `fixed64`.
  @inlinable
  public static func fixed64(_ field: UInt32, _ value: UInt64, to out: inout [UInt8]) {
    guard value != 0 else { return }
    presentFixed64(field, value, to: &out)
  }

  /// A `fixed64` or the bits of a `double`, for 0 too: of a field whose presence says something.
  @inlinable
  public static func presentFixed64(_ field: UInt32, _ value: UInt64, to out: inout [UInt8]) {
    tag(field, wireType: 1, to: &out)
    eightBytes(value, to: &out)
  }

  /// A `repeated fixed64`, or the bits of a `repeated double`.
  @inlinable
  public static func packedFixed64(_ field: UInt32, _ values: [UInt64], to out: inout [UInt8]) {
    guard !values.isEmpty else { return }
    lengthPrefix(field, values.count * 8, to: &out)
    for value in values { eightBytes(value, to: &out) }
  }

  @inlinable
  static func eightBytes(_ value: UInt64, to out: inout [UInt8]) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) { out.append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  /// A `double`. Minus zero is zero here, as it is for protobuf-c.
  @inlinable
  public static func double(_ field: UInt32, _ value: Double, to out: inout [UInt8]) {
    fixed64(field, value == 0 ? 0 : value.bitPattern, to: &out)
  }

  @inlinable
  public static func string(_ field: UInt32, _ text: String, to out: inout [UInt8]) {
    let utf8 = text.utf8
    guard !utf8.isEmpty else { return }
    lengthPrefix(field, utf8.count, to: &out)
    out.append(contentsOf: utf8)
  }

  @inlinable
  public static func bytes(_ field: UInt32, _ bytes: some Collection<UInt8>, to out: inout [UInt8]) {
    guard !bytes.isEmpty else { return }
    lengthPrefix(field, bytes.count, to: &out)
    out.append(contentsOf: bytes)
  }

  /// Tag and length of a string or a nested message whose `length` bytes the caller appends next. Written for 0 too: an
  /// empty message that is there differs from none.
  @inlinable
  public static func lengthPrefix(_ field: UInt32, _ length: Int, to out: inout [UInt8]) {
    tag(field, wireType: 2, to: &out)
    varint(UInt64(length), to: &out)
  }

  /// How many bytes a nested message, string or bytes field of `length` bytes takes in all.
  @inlinable
  public static func lengthPrefixedSize(_ field: UInt32, _ length: Int) -> Int {
    varintSize(UInt64(field) << 3) + varintSize(UInt64(length)) + length
  }

  /// A nested message, written by `body`. Costs a move of its bytes where it is longer than 127.
  @inlinable
  public static func message(_ field: UInt32, to out: inout [UInt8], _ body: (inout [UInt8]) -> Void) {
    tag(field, wireType: 2, to: &out)
    let start = out.count
    out.append(0)
    body(&out)
    let length = UInt64(out.count - start - 1)
    guard length >= 0x80 else {
      out[start] = UInt8(truncatingIfNeeded: length)
      return
    }
    var prefix: [UInt8] = []
    varint(length, to: &prefix)
    out.replaceSubrange(start...start, with: prefix)
  }

  @inlinable
  static func tag(_ field: UInt32, wireType: UInt64, to out: inout [UInt8]) {
    varint(UInt64(field) << 3 | wireType, to: &out)
  }
}
