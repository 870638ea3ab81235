internal import Glibc

/// Why a file could not be read; for people.
public struct FileProblem: Error, Sendable, CustomStringConvertible {
  public let description: String
}

/// The bytes of a file that a flag names. More than `limit` of them are a problem: it is the wrong file.
public func readSmallFile(_ path: String, limit: Int = 1024 * 1024) throws(FileProblem) -> [UInt8] {
  func problem() -> FileProblem { FileProblem(description: String(cString: strerror(errno))) }
  let file = open(path, O_RDONLY | O_CLOEXEC)
  guard file >= 0 else { throw problem() }
  defer { close(file) }
  var bytes: [UInt8] = []
  var block = [UInt8](repeating: 0, count: 16 * 1024)
  while bytes.count <= limit {
    let count = read(file, &block, block.count)
    if count < 0, errno == EINTR { continue }
    if count < 0 { throw problem() }
    if count == 0 { return bytes }
    bytes += block[..<count]
  }
  throw FileProblem(description: "more than \(limit) bytes")
}

/// The text of a file that people write, by the rule of ``WrittenText``: without a byte order mark, with LF as the only
/// line end.
///
/// - Parameter limit: More bytes than that are a problem: it is the wrong file.
public func readTextFile(_ path: String, limit: Int = 1024 * 1024) throws(FileProblem) -> String {
  let bytes = try readSmallFile(path, limit: limit)
  do throws(WrittenTextProblem) {
    return try WrittenText.text(bytes)
  } catch {
    throw FileProblem(description: error.description)
  }
}

/// The value of one line that a file holds, a token for example, by the rule of ``WrittenText``.
///
/// - Parameter limit: More bytes than that are a problem: it is the wrong file.
/// - Returns: The value, never empty.
public func readValueFile(_ path: String, limit: Int = 4096) throws(FileProblem) -> String {
  let bytes = try readSmallFile(path, limit: limit)
  let value: String
  do throws(WrittenTextProblem) {
    value = try WrittenText.value(bytes)
  } catch {
    throw FileProblem(description: error.description)
  }
  guard !value.isEmpty else { throw FileProblem(description: "is empty; one line is wanted") }
  return value
}
