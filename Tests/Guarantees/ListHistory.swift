internal import Core

/// A row of a list.
public struct ListRow: Sendable, Hashable {
  /// Rows are in order of this.
  public let key: [String]
  /// Everything that the row shows, but for its revision.
  public let text: String

  public init(_ key: [String], _ text: String) {
    self.key = key
    self.text = text
  }
}

/// A part of a list, as it is asked for.
public struct PageRequest: Sendable, Hashable {
  public let list: String
  /// The last row of the page before; nil: the page is the first.
  public let after: [String]?
  public let size: Int

  public init(of list: String, after: [String]?, size: Int) {
    self.list = list
    self.after = after
    self.size = size
  }

  /// The label of a page: its rows, whether the list goes on, and how many rows the whole list has.
  public static func text(rows: [String], hasMore: Bool, totalCount: Int) -> String {
    "[\(rows.joined(separator: ", "))]\(hasMore ? " and more" : ""), \(totalCount) in all"
  }
}

/// The rows of a list, and when it had them.
struct ListHistory: Sendable {
  private struct Version: Sendable {
    /// Nil: nothing is known.
    let rows: [ListRow]?
    let from: Revision
    let by: Revision
  }

  private var versions: [Version] = []

  mutating func append(_ rows: [ListRow]?, from: Revision, by revision: Revision) {
    versions.append(Version(rows: rows, from: from, by: revision))
  }

  /// What a page of the list showed, and when, as the history of one key: its positions are those of every other page.
  func page(_ request: PageRequest) -> KeyHistory {
    var history = KeyHistory()
    if versions.first.map({ $0.from > .none }) ?? true {
      _ = history.append(.label(Self.text([], request)), of: "", from: Revision.none, by: .none)
    }
    for version in versions {
      let showing = version.rows.map { Showing.label(Self.text($0, request)) } ?? .unknown
      _ = history.append(showing, of: "", from: version.from, by: version.by)
    }
    return history
  }

  /// What a page of these rows shows.
  private static func text(_ rows: [ListRow], _ request: PageRequest) -> String {
    let rest = request.after.map { after in rows.filter { after.lexicographicallyPrecedes($0.key) } } ?? rows
    return PageRequest.text(
      rows: rest.prefix(request.size).map(\.text), hasMore: rest.count > request.size, totalCount: rows.count)
  }
}
