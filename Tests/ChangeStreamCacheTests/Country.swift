// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON

/// A model of a collection that is unrelated to agents, because the cache is generic.
struct Country: CachedModel, Equatable {
  static let entity = "country"
  static let filter = DocumentFilter.field("active", isOneOf: [.bool(true)])
  static let keyFields: Set<String>? = ["code"]
  static func keyFields(ofSpace space: UInt8) -> Set<String>? { space == 0 ? ["code"] : ["continent"] }
  static let keySpaces = [KeySpace(selector: "code"), KeySpace(selector: "continent", composition: .members)]

  let code: String
  let name: String
  let rank: Int64
  let continent: String?

  init(reading document: BSONObject) throws(DocumentProblem) {
    code = try document.nonEmptyString("code")
    name = try document.string("name")
    rank = try document.integer("rank", in: 0...100, default: 0)
    continent = try document.optionalString("continent")
  }

  var key: LookupKey { LookupKey(code) }
  var aliases: [LookupKey] { continent.map { [LookupKey($0, space: 1)] } ?? [] }
  var precedence: Precedence { Precedence(rank) }
  var listings: [String] { [""] }

  func encoded() -> [UInt8]? { Array("\(code)=\(name)/\(rank)/\(continent ?? "")".utf8) }
}

/// Returns a document of ``Country`` as JSON.
func country(
  _ id: String, _ code: String, _ name: String, rank: Int = 0, active: Bool = true, continent: String? = nil
) -> String {
  let extra = continent.map { ", \"continent\": \"\($0)\"" } ?? ""
  return "{\"_id\": \"\(id)\", \"code\": \"\(code)\", \"name\": \"\(name)\", "
    + "\"rank\": \(rank), \"active\": \(active)\(extra)}"
}
