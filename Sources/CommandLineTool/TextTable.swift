// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupCore

/// Rows in aligned columns under a header, for people.
struct TextTable {
  /// A cell; an empty text is printed as a dash.
  struct Cell {
    let text: String
    var rendition: Style.Rendition?

    /// Makes a cell of text that may come from a document.
    init(_ text: String, _ rendition: Style.Rendition? = nil) {
      self.text = text.isEmpty ? "-" : safe(text)
      self.rendition = rendition
    }
  }

  private let header: [String]
  private var rows: [[Cell]] = []

  /// Makes an empty table with the names of its columns, one word each, so that scripts can split lines at blanks.
  init(_ header: String...) {
    self.header = header
  }

  /// Whether there is no row.
  var isEmpty: Bool { rows.isEmpty }

  /// Adds a row with a cell for each column.
  mutating func add(_ row: [Cell]) {
    precondition(row.count == header.count, "a cell for each column")
    rows.append(row)
  }

  /// The lines of the table. No line ends with a blank.
  func lines(_ style: Style) -> [String] {
    let all = [header.map { Cell($0, .bold) }] + rows
    let widths = header.indices.map { column in all.map { $0[column].text.count }.max() ?? 0 }
    return all.map { row in
      row.enumerated().map { column, cell in
        let padding = column == row.count - 1 ? 0 : widths[column] - cell.text.count + 2
        return style(cell.text, cell.rendition) + String(repeating: " ", count: padding)
      }.joined()
    }
  }

  /// Prints the table on standard output.
  ///
  /// - Throws: ``OutputProblem`` when it cannot be written.
  func print(_ style: Style) throws(OutputProblem) {
    try StandardStreams.write(lines(style).map { $0 + "\n" }.joined())
  }
}
