internal import Glibc

/// Answers in order of key. A value that is cheap to copy and to keep: where a copy is held, a change makes one chunk
/// anew and shares the others; where none is, it changes the chunk in place.
public struct AnswerList: Sendable, RandomAccessCollection {
  private static let fullChunk = 256

  /// None is empty.
  private var chunks: [[Answer]] = []
  /// The index of each chunk's first answer.
  private var starts: [Int] = []
  public private(set) var count = 0

  init() {}

  /// A list of `answers`, which are in order of key.
  init(sorted answers: [Answer]) {
    for start in stride(from: 0, to: answers.count, by: Self.fullChunk / 2) {
      starts.append(start)
      chunks.append(Array(answers[start..<Swift.min(start + Self.fullChunk / 2, answers.count)]))
    }
    count = answers.count
  }

  public var startIndex: Int { 0 }
  public var endIndex: Int { count }

  /// O(log n).
  public subscript(index: Int) -> Answer {
    let chunk = starts.partition { $0 <= index } - 1
    return chunks[chunk][index - starts[chunk]]
  }

  /// Walks all answers; O(1) for each.
  public func makeIterator() -> Iterator { Iterator(self) }

  /// Walks a list as it was when the walk began.
  public struct Iterator: IteratorProtocol {
    private let list: AnswerList
    private var chunk = 0
    private var place = 0

    fileprivate init(_ list: AnswerList) { self.list = list }

    public mutating func next() -> Answer? {
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

  /// The index of the first answer whose key is not before `key`. O(log n).
  public func firstIndex(notBefore key: LookupKey) -> Int {
    guard let chunk = chunk(for: key) else { return 0 }
    return starts[chunk] + place(notBefore: key, in: chunks[chunk])
  }

  /// Makes `answer` the one of its key.
  mutating func set(_ answer: Answer) {
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

  /// Takes the answer of `key` away.
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

  /// Applies many changes, which are in order of key, one for a key: nil takes the answer away. O(n) in all.
  mutating func merge(_ changes: [(key: LookupKey, new: Answer?)]) {
    var merged: [Answer] = []
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

  // MARK: Beneath

  /// The chunk in which the key stands, or would stand; nil: there is none.
  private func chunk(for key: LookupKey) -> Int? {
    guard !chunks.isEmpty else { return nil }
    return Swift.max(chunks.partition { !isBefore(key, $0[0].key) } - 1, 0)
  }

  private func place(notBefore key: LookupKey, in answers: [Answer]) -> Int {
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
  /// How many elements at the beginning fulfil `isBefore`, which none of the others does. O(log n).
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

/// The order of lists: by bytes, then by space.
func isBefore(_ left: LookupKey, _ right: LookupKey) -> Bool {
  let order = memcmp(left.bytes, right.bytes, min(left.bytes.count, right.bytes.count))
  if order != 0 { return order < 0 }
  if left.bytes.count != right.bytes.count { return left.bytes.count < right.bytes.count }
  return left.space < right.space
}
