// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
public import ConfigLookupBSON

/// A document to write, and the selector of the document that it replaces.
public struct MongoReplacement: Sendable {
  /// The collection.
  public let namespace: MongoNamespace
  /// The query that finds the document to replace.
  public let selector: BSONDocument
  /// The new document.
  public let document: BSONDocument

  /// Creates a replacement. If no document matches, the new document is inserted (an upsert).
  ///
  /// - Parameters:
  ///   - namespace: the collection.
  ///   - selector: the query that finds the document to replace.
  ///   - document: the new document.
  public init(namespace: MongoNamespace, selector: BSONDocument, document: BSONDocument) {
    self.namespace = namespace
    self.selector = selector
    self.document = document
  }
}

/// The reason why not all replacements were written, and what the database contains now.
public struct MongoWriteFailure: Error, Sendable {
  /// The error of libmongoc or of the server.
  public let error: MongoError
  /// The index of the replacement that failed; nil if the failure belongs to none of them, such as a failed connection
  /// or commit.
  public let index: Int?
  /// The number of replacements, counted from the first, that the database contains. It is 0 after a transaction.
  public let writtenCount: Int
  /// Whether the connection failed during the commit, so that the database contains either all replacements or none.
  public let isCommitUnknown: Bool
}

extension MongoClientPool {
  /// Writes all replacements, in order, in one transaction: either all of them are written or none.
  ///
  /// Where the deployment has no transactions, they are written one by one, up to the first failure. Blocks the calling
  /// thread.
  ///
  /// - Parameter replacements: the documents to write.
  /// - Throws: ``MongoWriteFailure``.
  public func replaceAll(_ replacements: [MongoReplacement]) throws(MongoWriteFailure) {
    let work: ReplacementWork
    do throws(MongoError) {
      work = ReplacementWork(replacements, client: try pop())
    } catch {
      throw MongoWriteFailure(error: error, index: nil, writtenCount: 0, isCommitUnknown: false)
    }
    defer { push(work.client) }
    guard let error = work.runTransaction() else { return }
    guard work.isRefusedTransaction(error) else {
      let isUnknown = work.isComplete && error.labels.contains("UnknownTransactionCommitResult")
      throw MongoWriteFailure(error: error, index: work.failedIndex, writtenCount: 0, isCommitUnknown: isUnknown)
    }
    guard let error = work.runOneByOne() else { return }
    throw MongoWriteFailure(
      error: error, index: work.failedIndex, writtenCount: work.failedIndex ?? 0, isCommitUnknown: false)
  }
}

/// The state of writing the replacements. Only one thread uses it.
private final class ReplacementWork {
  let client: OpaquePointer
  private let replacements: [MongoReplacement]
  private(set) var failedIndex: Int?
  /// Whether every replacement was accepted, so that only the commit can have failed.
  private(set) var isComplete = false

  init(_ replacements: [MongoReplacement], client: OpaquePointer) {
    self.replacements = replacements
    self.client = client
  }

  /// Whether the deployment has no transactions: IllegalOperation (a standalone server), CommandNotFound,
  /// CommandNotSupported, OperationNotSupportedInTransaction, or libmongoc's error for a server that is too old.
  func isRefusedTransaction(_ error: MongoError) -> Bool {
    error.isFromServer
      ? [20, 59, 115, 263].contains(error.code)
      : error.code == Int(MONGOC_ERROR_TRANSACTION_INVALID_STATE.rawValue)
  }

  /// Runs the transaction, and repeats it where the server reports that this may help. Returns the error, or nil.
  func runTransaction() -> MongoError? {
    var error = bson_error_t()
    guard let session = mongoc_client_start_session(client, nil, &error) else { return MongoError(error) }
    defer { mongoc_client_session_destroy(session) }
    let options = mongoc_transaction_opts_new()
    defer { mongoc_transaction_opts_destroy(options) }
    // A change stream delivers only majority-committed writes.
    let concern = mongoc_write_concern_new()
    defer { mongoc_write_concern_destroy(concern) }
    mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY)
    mongoc_transaction_opts_set_write_concern(options, concern)
    do throws(MongoError) {
      _ = try mongoReply { reply, error in
        // Unretained: `self` outlives the call.
        mongoc_client_session_with_transaction(
          session, runInTransaction, options, Unmanaged.passUnretained(self).toOpaque(), reply, &error)
      }
      return nil
    } catch {
      return error
    }
  }

  /// Writes without a transaction, up to the first failure. Returns the error, or nil.
  func runOneByOne() -> MongoError? {
    var error = bson_error_t()
    return write(session: nil, reply: nil, &error) ? nil : MongoError(error)
  }

  /// Writes in order, up to the first failure.
  ///
  /// - Parameters:
  ///   - session: the session of the transaction; nil if there is none.
  ///   - reply: receives a copy of the server's reply to a failed write, which the caller owns. libmongoc decides by
  ///     its labels whether to repeat the transaction.
  /// - Returns: whether all replacements were written.
  fileprivate func write(
    session: OpaquePointer?, reply: UnsafeMutablePointer<OpaquePointer?>?, _ error: inout bson_error_t
  ) -> Bool {
    failedIndex = nil
    isComplete = false
    for (index, replacement) in replacements.enumerated() {
      guard replaceOne(replacement, session, reply, &error) else {
        failedIndex = index
        return false
      }
    }
    isComplete = true
    return true
  }

  private func replaceOne(
    _ replacement: MongoReplacement, _ session: OpaquePointer?, _ failedReply: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: inout bson_error_t
  ) -> Bool {
    let name = replacement.namespace
    guard let options = bson_new(),
      let collection = mongoc_client_get_collection(client, name.database, name.collection)
    else { return false }
    defer {
      mongoc_collection_destroy(collection)
      bson_destroy(options)
    }
    bson_append_bool(options, "upsert", -1, true)
    if let session, !mongoc_client_session_append(session, options, &error) { return false }
    var problem = bson_error_t()
    do throws(MongoError) {
      _ = try mongoReply { reply, error in
        let isWritten = replacement.selector.withBSONPointer { selector in
          replacement.document.withBSONPointer {
            mongoc_collection_replace_one(collection, selector, $0, options, reply, &error)
          }
        }
        if !isWritten {
          failedReply?.pointee = bson_copy(reply)
          problem = error
        }
        return isWritten
      }
      return true
    } catch {
      // libmongoc needs the error in its own form.
    }
    error = problem
    return false
  }
}

/// The callback for `mongoc_client_session_with_transaction`; `context` is the ``ReplacementWork``.
private func runInTransaction(
  _ session: OpaquePointer?, _ context: UnsafeMutableRawPointer?, _ reply: UnsafeMutablePointer<OpaquePointer?>?,
  _ error: UnsafeMutablePointer<bson_error_t>?
) -> Bool {
  guard let context, let error else { return false }
  let work = Unmanaged<ReplacementWork>.fromOpaque(context).takeUnretainedValue()
  return work.write(session: session, reply: reply, &error.pointee)
}
