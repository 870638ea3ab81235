// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// A list of answers in order of key.
///
/// The list is a value that is cheap to copy and to keep. While a copy is held, a change copies one chunk and shares
/// the others. Where no copy is held, a change modifies the chunk in place.
public struct AnswerList: Sendable, RandomAccessCollection {
  private static let fullChunk = 256

  /// The chunks of the list. No chunk is empty.
  private var chunks: [[CachedAnswer]] = []
  /// For each chunk, the index of its first answer in the list.
  private var starts: [Int] = []
  /// The number of answers in the list.
  public private(set) var count = 0

  init() {}

  /// Creates a list of `answers`, which must be in order of key.
  init(sorted answers: [CachedAnswer]) {
    for start in stride(from: 0, to: answers.count, by: Self.fullChunk / 2) {
      starts.append(start)
      chunks.append(Array(answers[start..<Swift.min(start + Self.fullChunk / 2, answers.count)]))
    }
    count = answers.count
  }

  /// The index of the first answer: 0.
  public var startIndex: Int { 0 }
  /// The index after the last answer.
  public var endIndex: Int { count }

  /// The answer at an index. O(log n).
  public subscript(index: Int) -> CachedAnswer {
    let chunk = starts.partition { $0 <= index } - 1
    return chunks[chunk][index - starts[chunk]]
  }

  /// Returns an iterator over all answers. Each step is O(1).
  ///
  /// - Returns: an iterator over the list as it is now.
  public func makeIterator() -> Iterator { Iterator(self) }

  /// Iterates over a list as it was when the iteration began.
  public struct Iterator: IteratorProtocol {
    private let list: AnswerList
    private var chunk = 0
    private var place = 0

    fileprivate init(_ list: AnswerList) { self.list = list }

    /// Returns the next answer, or nil at the end of the list.
    ///
    /// - Returns: the next answer in order of key.
    public mutating func next() -> CachedAnswer? {
      while chunk < list.chunks.count {
        let answers = list.chunks[chunk]
        if place < answers.count {
          defer { place += 1 }
          return answers[place]
        }
        (chunk, place) = (chunk + 1, 0)
      }
      return nil
    }
  }

  /// Returns the index of the first answer whose key is equal to `key` or after it. O(log n).
  ///
  /// - Parameter key: the key to search for.
  /// - Returns: the index, or ``endIndex`` if all keys are before `key`.
  public func firstIndex(notBefore key: LookupKey) -> Int {
    guard let chunk = chunk(for: key) else { return 0 }
    return starts[chunk] + place(notBefore: key, in: chunks[chunk])
  }

  /// Inserts `answer`, or replaces the answer of the same key.
  mutating func set(_ answer: CachedAnswer) {
    guard let chunk = chunk(for: answer.key) else {
      self = AnswerList(sorted: [answer])
      return
    }
    let place = place(notBefore: answer.key, in: chunks[chunk])
    if place < chunks[chunk].count, chunks[chunk][place].key == answer.key {
      chunks[chunk][place] = answer
    } else {
      chunks[chunk].insert(answer, at: place)
      shift(after: chunk, by: 1)
      if chunks[chunk].count > Self.fullChunk { split(chunk) }
    }
  }

  /// Removes the answer of `key`, if there is one.
  mutating func remove(_ key: LookupKey) {
    guard let chunk = chunk(for: key) else { return }
    let place = place(notBefore: key, in: chunks[chunk])
    guard place < chunks[chunk].count, chunks[chunk][place].key == key else { return }
    chunks[chunk].remove(at: place)
    shift(after: chunk, by: -1)
    if chunks[chunk].isEmpty {
      chunks.remove(at: chunk)
      starts.remove(at: chunk)
    }
  }

  /// Applies many changes at once. They must be in order of key, with at most one change for each key; nil removes the
  /// answer. O(n) in total.
  mutating func merge(_ changes: [(key: LookupKey, new: CachedAnswer?)]) {
    var merged: [CachedAnswer] = []
    merged.reserveCapacity(count + changes.count)
    var next = 0
    for answer in self {
      while next < changes.count, isBefore(changes[next].key, answer.key) {
        if let new = changes[next].new { merged.append(new) }
        next += 1
      }
      if next < changes.count, changes[next].key == answer.key { continue }
      merged.append(answer)
    }
    for change in changes[next...] { if let new = change.new { merged.append(new) } }
    self = AnswerList(sorted: merged)
  }

  // MARK: Private

  /// The chunk that contains the key, or that the key would be inserted into; nil if the list is empty.
  private func chunk(for key: LookupKey) -> Int? {
    guard !chunks.isEmpty else { return nil }
    return Swift.max(chunks.partition { !isBefore(key, $0[0].key) } - 1, 0)
  }

  private func place(notBefore key: LookupKey, in answers: [CachedAnswer]) -> Int {
    answers.partition { isBefore($0.key, key) }
  }

  private mutating func shift(after chunk: Int, by difference: Int) {
    count += difference
    for later in (chunk + 1)..<Swift.max(chunk + 1, starts.count) { starts[later] += difference }
  }

  private mutating func split(_ chunk: Int) {
    let half = chunks[chunk].count / 2
    let rest = Array(chunks[chunk][half...])
    chunks[chunk].removeSubrange(half...)
    chunks.insert(rest, at: chunk + 1)
    starts.insert(starts[chunk] + half, at: chunk + 1)
  }
}

extension Array {
  /// The number of leading elements that fulfil `isBefore`, which no later element fulfils. O(log n).
  fileprivate func partition(_ isBefore: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

/// The sort order of lists: by bytes, then by space.
func isBefore(_ left: LookupKey, _ right: LookupKey) -> Bool {
  let order = memcmp(left.bytes, right.bytes, min(left.bytes.count, right.bytes.count))
  if order != 0 { return order < 0 }
  if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
  return left.space < right.space
}
