// SPDX-License-Identifier: Apache-2.0
/// An index of items by a literal prefix and a literal suffix. Finding the items that a text can match costs time in
/// the number of distinct pairs of lengths, not of items.
struct AffixIndex<Item: Sendable>: Sendable {
  private struct Shape: Hashable {
    let prefix: Int
    let suffix: Int
  }

  /// For each pair of lengths, the items by prefix and suffix, which are joined by a byte that never occurs in UTF-8.
  private var shapes: [Shape: [[UInt8]: Item]] = [:]

  /// Changes the item of a prefix and a suffix. `new` creates the item if there is none.
  mutating func update(
    prefix: [UInt8], suffix: [UInt8], default new: @autoclosure () -> Item, _ body: (inout Item) -> Void
  ) {
    let shape = Shape(prefix: prefix.count, suffix: suffix.count)
    body(&shapes[shape, default: [:]][prefix + [0xFF] + suffix, default: new()])
  }

  /// Passes to `body` the items whose prefix and suffix the text has, with at least `rest` bytes between them.
  func forEach(matching text: some RandomAccessCollection<UInt8>, rest: Int, _ body: (Item) -> Void) {
    for (shape, items) in shapes where shape.prefix + shape.suffix + rest <= text.count {
      if let item = items[Array(text.prefix(shape.prefix)) + [0xFF] + Array(text.suffix(shape.suffix))] { body(item) }
    }
  }
}
