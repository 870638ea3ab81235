// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupCore

/// The part of a watch before its live notices, in order: RESYNC, replay, initial state. It is read step by step while
/// it is sent, and copies nothing.
struct WatchBacklog {
  enum Part {
    /// A RESYNC of an entity; nil for all entities.
    case resync(ServedEntity?)
    /// The notices of the replay buffer from the number `next` to `end`.
    case replay(ServedEntity, next: Int, end: Int)
    /// Notices of the replay buffer that were read when the watch began, the next one last. For a watch with values,
    /// because the buffer keeps only the value of the latest notice of a key, which may come to be after the end of the
    /// replay.
    case notices([EncodedNotice])
    /// The answers of the initial state from `next` on.
    case answers(ServedEntity, AnswerList, next: AnswerList.Index)
    case progress(Revision)
  }

  /// The remaining parts, the next one last.
  private var parts: [Part] = []
  /// Notices of the replay that have been read and not been sent, the next one last.
  private var notices: [EncodedNotice] = []

  var isEmpty: Bool { parts.isEmpty && notices.isEmpty }

  /// Whether anything but PROGRESS is left.
  var holdsContents: Bool {
    !notices.isEmpty
      || parts.contains {
        if case .progress = $0 { false } else { true }
      }
  }

  /// The memory that the references to its answers take. Answers that the cache has replaced are kept alive by them
  /// alone; that is not counted.
  var byteCount: Int {
    parts.reduce(notices.count * 8) { sum, part in
      switch part {
      case .answers(_, let answers, let next): sum + (answers.count - next) * MemoryLayout<CachedAnswer>.stride
      case .notices(let notices): sum + notices.count * MemoryLayout<EncodedNotice>.stride
      case .resync, .replay, .progress: sum
      }
    }
  }

  mutating func append(_ part: Part) { parts.insert(part, at: 0) }

  /// An item to send, or `nothing` if an item was skipped.
  enum Item {
    case notice(EncodedNotice)
    case answer(ServedEntity, CachedAnswer)
    case resync(ServedEntity?)
    case progress(Revision)
    case nothing
  }

  /// Takes the next item; nil if there is none.
  ///
  /// - Parameter isWanted: whether a notice of the replay is to be sent.
  mutating func next(_ hub: InvalidationHub, isWanted: (EncodedNotice) -> Bool) -> Item? {
    if let notice = notices.popLast() { return isWanted(notice) ? .notice(notice) : .nothing }
    guard let part = parts.popLast() else { return nil }
    switch part {
    case .resync(let entity): return .resync(entity)
    case .progress(let revision): return .progress(revision)
    case .answers(let entity, let answers, let next):
      guard next < answers.count else { return .nothing }
      if next + 1 < answers.count {
        parts.append(.answers(entity, answers, next: next + 1))
      } else {
        hub.release([answers])
      }
      return .answer(entity, answers[next])
    case .notices(var notices):
      guard let notice = notices.popLast() else { return .nothing }
      if !notices.isEmpty { parts.append(.notices(notices)) }
      return isWanted(notice) ? .notice(notice) : .nothing
    case .replay(let entity, let next, let end):
      guard next < end else { return .nothing }
      guard let read = hub.replayed(entity, from: next, limit: min(end - next, 16)) else { return .resync(entity) }
      parts.append(.replay(entity, next: next + 16, end: end))
      notices = read.reversed()
      return .nothing
    }
  }

  /// Removes everything. Returns the answers that it held, because their release may take long.
  mutating func removeAll() -> [AnswerList] {
    defer { self = WatchBacklog() }
    return parts.compactMap { part in
      if case .answers(_, let answers, _) = part { answers } else { nil }
    }
  }
}
