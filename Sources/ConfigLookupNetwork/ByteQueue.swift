// SPDX-License-Identifier: Apache-2.0
/// A queue of bytes in contiguous memory, which it owns. Bytes are appended at the back and removed from the front. It
/// may be used by one thread at a time.
final class ByteQueue {
  private var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  private var head = 0
  private var tail = 0

  /// 0 <= head <= tail <= memory.count
  var count: Int { tail - head }
  var isEmpty: Bool { head == tail }
  var capacity: Int { memory.count }

  deinit {
    memory.deallocate()
  }

  /// The bytes in the queue. They are valid until the next change.
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[head..<tail]) }

  /// Appends `count` bytes, which the caller must fill at once.
  func extend(by count: Int) -> UnsafeMutableRawBufferPointer {
    let space = free(atLeast: count)
    tail += count
    return UnsafeMutableRawBufferPointer(rebasing: space[..<count])
  }

  /// Unused memory after the last byte. The caller passes the number of bytes that it filled to ``commit(_:)``.
  func free(atLeast count: Int) -> UnsafeMutableRawBufferPointer {
    if memory.count - tail < count { makeRoom(for: count) }
    return UnsafeMutableRawBufferPointer(rebasing: memory[tail...])
  }

  func commit(_ count: Int) {
    precondition(count >= 0 && count <= memory.count - tail)
    tail += count
  }

  func dropFirst(_ count: Int) {
    precondition(count >= 0 && count <= self.count)
    head += count
    if head == tail {
      head = 0
      tail = 0
    }
  }

  /// Replaces all bytes. `bytes` must not be those of this queue.
  func replace(with bytes: UnsafeRawBufferPointer) {
    head = 0
    tail = 0
    extend(by: bytes.count).copyMemory(from: bytes)
  }

  /// Releases the memory. The queue must be empty.
  func release() {
    precondition(isEmpty)
    memory.deallocate()
    memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  private func makeRoom(for more: Int) {
    let used = count
    // Moving costs no more than the bytes that have been removed since the last move, so each byte is moved once on
    // average.
    if head >= used, memory.count - used >= more {
      memory.copyMemory(from: bytes)
    } else {
      let larger = UnsafeMutableRawBufferPointer.allocate(
        byteCount: max(used + more, min(2 * memory.count, used + more + 1024 * 1024), 512), alignment: 16)
      larger.copyMemory(from: bytes)
      memory.deallocate()
      memory = larger
    }
    head = 0
    tail = used
  }
}
