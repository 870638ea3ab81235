// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// A row of a list.
public struct ListRow: Sendable, Hashable {
  /// The sort key of the row.
  public let key: [String]
  /// The whole content of the row, except its revision.
  public let text: String

  /// Creates a row.
  ///
  /// - Parameters:
  ///   - key: the sort key.
  ///   - text: the content.
  public init(_ key: [String], _ text: String) {
    self.key = key
    self.text = text
  }
}

/// A request for a page of a list.
public struct PageRequest: Sendable, Hashable {
  /// The name of the list.
  public let list: String
  /// The last row of the previous page; nil for the first page.
  public let after: [String]?
  /// The maximum number of rows.
  public let size: Int

  /// Creates a request.
  ///
  /// - Parameters:
  ///   - list: the name of the list.
  ///   - after: the last row of the previous page; nil for the first page.
  ///   - size: the maximum number of rows.
  public init(of list: String, after: [String]?, size: Int) {
    self.list = list
    self.after = after
    self.size = size
  }

  /// Returns the label of a page.
  ///
  /// - Parameters:
  ///   - rows: the rows of the page.
  ///   - hasMore: whether the list has a next page.
  ///   - totalCount: the number of rows of the whole list.
  /// - Returns: the label.
  public static func text(rows: [String], hasMore: Bool, totalCount: Int) -> String {
    "[\(rows.joined(separator: ", "))]\(hasMore ? " and more" : ""), \(totalCount) in all"
  }
}

/// The rows of a list and their times.
struct ListHistory: Sendable {
  private struct Version: Sendable {
    /// The rows; nil if they are not known.
    let rows: [ListRow]?
    let from: Revision
    let by: Revision
  }

  private var versions: [Version] = []

  mutating func append(_ rows: [ListRow]?, from: Revision, by revision: Revision) {
    versions.append(Version(rows: rows, from: from, by: revision))
  }

  /// The history of a page of the list in the form of a key's history. Its positions equal those of every other page.
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

  /// The label of a page of these rows.
  private static func text(_ rows: [ListRow], _ request: PageRequest) -> String {
    let rest = request.after.map { after in rows.filter { after.lexicographicallyPrecedes($0.key) } } ?? rows
    return PageRequest.text(
      rows: rest.prefix(request.size).map(\.text), hasMore: rest.count > request.size, totalCount: rows.count)
  }
}
