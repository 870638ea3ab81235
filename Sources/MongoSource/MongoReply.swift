// SPDX-License-Identifier: Apache-2.0
internal import CMongoC
internal import ConfigLookupBSON

/// Calls libmongoc by `body`, which writes a reply into the memory that it receives and returns false for an error.
/// Returns a copy of the reply.
func mongoReply(_ body: (OpaquePointer, inout bson_error_t) -> Bool) throws(MongoError) -> BSONDocument {
  // The reply needs an alignment that Swift cannot give to a local variable.
  let outcome = withUnsafeTemporaryAllocation(
    byteCount: Int(cmongoc_bson_size), alignment: Int(cmongoc_bson_alignment)
  ) { memory -> Result<BSONDocument, MongoError> in
    guard let base = memory.baseAddress else { return .failure(MongoError(message: "out of memory")) }
    let reply = OpaquePointer(base)
    var error = bson_error_t()
    let succeeded = body(reply, &error)
    defer { bson_destroy(reply) }
    return succeeded
      ? .success(BSONDocument(uncheckedBytes: BSONDocument.copyBytes(of: reply)))
      : .failure(MongoError(error, reply: reply))
  }
  return try outcome.get()
}
