internal import Glibc

/// Runs of bytes that are to be sent one behind the other, from where they lie. Owns the list, not the bytes; one
/// thread.
public final class OutputRuns {
  private let vectors: UnsafeMutablePointer<iovec>
  private let capacity: Int
  private(set) var count = 0

  /// At most `capacity` runs.
  public init(capacity: Int) {
    self.capacity = capacity
    vectors = .allocate(capacity: capacity)
  }

  deinit {
    vectors.deallocate()
  }

  /// The bytes must stay until the runs have been sent.
  public func append(_ bytes: UnsafeRawBufferPointer) {
    precondition(count < capacity, "more runs than there is room for")
    let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
    (vectors + count).initialize(to: iovec(iov_base: base, iov_len: bytes.count))
    count += 1
  }

  public func removeAll() {
    count = 0
  }

  subscript(place: Int) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: vectors[place].iov_base, count: vectors[place].iov_len)
  }

  /// What sendmsg(2) takes.
  var message: msghdr {
    var message = msghdr()
    message.msg_iov = vectors
    message.msg_iovlen = count
    return message
  }
}
