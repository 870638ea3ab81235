// SPDX-License-Identifier: Apache-2.0
/// A list that grows and shrinks by whole chunks: no operation copies the other elements.
///
/// Not thread-safe. `Element` must be trivial.
final class ChunkedList<Element: BitwiseCopyable> {
  private static var chunkSize: Int { 4096 }
  private var chunks: [UnsafeMutablePointer<Element>] = []
  private(set) var count = 0

  deinit {
    for chunk in chunks { chunk.deallocate() }
  }

  subscript(index: Int) -> Element {
    get {
      precondition(index < count)
      return chunks[index / Self.chunkSize][index % Self.chunkSize]
    }
    set {
      precondition(index < count)
      chunks[index / Self.chunkSize][index % Self.chunkSize] = newValue
    }
  }

  func append(_ element: Element) {
    if count == chunks.count * Self.chunkSize { chunks.append(.allocate(capacity: Self.chunkSize)) }
    chunks[count / Self.chunkSize].advanced(by: count % Self.chunkSize).initialize(to: element)
    count += 1
  }

  func removeLast() {
    precondition(count > 0)
    count -= 1
    // One spare chunk is kept, so that a list whose length varies around a boundary does not allocate each time.
    if count + 2 * Self.chunkSize <= chunks.count * Self.chunkSize { chunks.removeLast().deallocate() }
  }
}
