// SPDX-License-Identifier: Apache-2.0
internal import ChangeStreamCache
internal import ConfigLookupBSON
internal import ConfigLookupCore
internal import Foundation
internal import MongoSource

/// The documents of one file of `seed`, validated by the rules of the server and of the database.
struct SeedDocuments {
  /// The name of the file.
  let file: String
  /// The collection that receives the documents.
  let namespace: MongoNamespace
  /// A replacement for each valid document, in the order of the file.
  private(set) var replacements: [MongoReplacement] = []
  /// A line for each invalid document: the file, the document's index from 0, the field and the problem.
  private(set) var problems: [String] = []
  /// The indexes of the documents by their selectors.
  private var indexes: [BSONDocument: Int] = [:]

  /// Reads and validates a file; nil where it does not exist.
  ///
  /// - Parameters:
  ///   - folder: The folder of the file.
  ///   - file: The name of the file.
  ///   - namespace: `DATABASE.COLLECTION`.
  ///   - key: The field by which a document without `_id` is selected.
  ///   - model: The type whose reader has the server's rules.
  /// - Throws: `UsageError` for the namespace; ``ToolFailure`` for a file that is not a JSON array of documents.
  init?<Model: CachedModel>(
    _ folder: URL, _ file: String, _ namespace: String, key: String, as model: Model.Type
  ) throws {
    self.file = file
    let path = folder.appendingPathComponent(file).path
    guard FileManager.default.fileExists(atPath: path) else { return nil }
    guard let namespace = MongoNamespace(namespace) else {
      throw UsageError("\(namespace) does not have the form DATABASE.COLLECTION")
    }
    self.namespace = namespace
    let bytes: [UInt8]
    do throws(FileProblem) {
      bytes = Array(WrittenText.withoutByteOrderMark(try readSmallFile(path, limit: ToolLimits.seedFileBytes)))
    } catch {
      throw ToolFailure(status: ExitStatus.data, message: "\(file): \(error)")
    }
    do throws(JSONArrayProblem) {
      for (index, element) in try jsonArrayElements(bytes).enumerated() {
        add(element, index, key, model)
      }
    } catch {
      throw ToolFailure(status: ExitStatus.data, message: "\(file): \(error)")
    }
  }

  private mutating func add<Model: CachedModel>(_ json: String, _ index: Int, _ key: String, _ model: Model.Type) {
    guard json.utf8.first == UInt8(ascii: "{") else {
      return addProblem(index, "is not an object; the file is an array of documents")
    }
    let document: BSONDocument
    do throws(BSONError) {
      document = try BSONDocument(json: json)
    } catch {
      return addProblem(index, "\(error)")
    }
    document.withObject { object in
      do throws(DocumentProblem) {
        try checkStorable(document)
        _ = try Model(reading: object)
        guard let value = object.value("_id") ?? object.value(key) else { return }
        let selector = BSONDocument(oneField: object.value("_id") == nil ? key : "_id", value)
        if let first = indexes.updateValue(index, forKey: selector) {
          throw DocumentProblem(
            field: object.value("_id") == nil ? key : "_id",
            problem: "is the same as that of document \(first); one of the two would replace the other")
        }
        replacements.append(MongoReplacement(namespace: namespace, selector: selector, document: document))
      } catch {
        addProblem(index, "\(error)")
      }
    }
  }

  private mutating func addProblem(_ index: Int, _ problem: String) {
    problems.append("\(file): document \(index): \(problem)")
  }
}

/// Throws the reason why MongoDB would reject a document as a replacement.
///
/// https://www.mongodb.com/docs/manual/reference/limits/
func checkStorable(_ document: BSONDocument) throws(DocumentProblem) {
  guard document.bytes.count <= ToolLimits.documentBytes else {
    throw DocumentProblem(
      field: "", problem: "is \(document.bytes.count) bytes as BSON; MongoDB takes \(ToolLimits.documentBytes)")
  }
  try document.withObject { object throws(DocumentProblem) in
    var problem: DocumentProblem?
    object.forEach { name, value in
      if name.first == UInt8(ascii: "$") {
        problem = DocumentProblem(
          field: String(decoding: name, as: UTF8.self),
          problem: "a name that begins with $ is an operator for MongoDB, and cannot be stored at the top of a document"
        )
      } else if name.elementsEqual("_id".utf8), !canBeID(value) {
        problem = DocumentProblem(
          field: "_id", problem: "is \(value.type.name); MongoDB takes no array, regular expression or operator there")
      } else {
        problem = emptyName(name, value, in: "")
      }
      return problem == nil
    }
    if let problem { throw problem }
  }
}

private func canBeID(_ value: BSONValue) -> Bool {
  switch value.type {
  case .array, .regularExpression, .undefined: return false
  case .object:
    var isPlain = true
    BSONObject(elementsOf: value)?.forEach { name, _ in
      isPlain = name.first != UInt8(ascii: "$")
      return isPlain
    }
    return isPlain
  default: return true
  }
}

/// The problem of the first field with an empty name, at a field or anywhere below it. libmongoc refuses to send one.
private func emptyName(_ name: UnsafeBufferPointer<UInt8>, _ value: BSONValue, in parent: String) -> DocumentProblem? {
  guard !name.isEmpty else {
    return DocumentProblem(field: parent, problem: "holds a field whose name is empty, which cannot be stored")
  }
  guard value.type == .object || value.type == .array else { return nil }
  let path = (parent.isEmpty ? "" : parent + ".") + String(decoding: name, as: UTF8.self)
  var problem: DocumentProblem?
  BSONObject(elementsOf: value)?.forEach { name, value in
    problem = emptyName(name, value, in: path)
    return problem == nil
  }
  return problem
}
