// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A list of byte ranges to be sent in order without being copied. It owns the list, not the bytes, and may be used by
/// one thread at a time.
public final class OutputRuns {
  private let vectors: UnsafeMutablePointer<iovec>
  private let capacity: Int
  private(set) var count = 0

  /// Creates an empty list.
  ///
  /// - Parameter capacity: The maximum number of ranges.
  public init(capacity: Int) {
    self.capacity = capacity
    vectors = .allocate(capacity: capacity)
  }

  deinit {
    vectors.deallocate()
  }

  /// Appends a range.
  ///
  /// - Parameter bytes: The bytes, which must remain valid until they have been sent.
  public func append(_ bytes: UnsafeRawBufferPointer) {
    precondition(count < capacity, "more runs than there is room for")
    let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    (vectors + count).initialize(to: iovec(iov_base: base, iov_len: bytes.count))
    count += 1
  }

  /// Removes all ranges.
  public func removeAll() {
    count = 0
  }

  subscript(place: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: vectors[place].iov_base, count: vectors[place].iov_len)
  }

  /// The argument for sendmsg(2).
  var message: msghdr {
    var message = msghdr()
    message.msg_iov = vectors
    message.msg_iovlen = count
    return message
  }
}
