// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The reason why a file could not be read, as text for people.
public struct FileProblem: Error, Sendable, CustomStringConvertible {
  /// The reason. In a message it follows the file's path.
  public let description: String
}

/// Reads a file that a flag names. No other function opens such files.
///
/// No path can make the caller wait: a FIFO, a device and a directory are rejected, because a FIFO without a writer
/// would block the thread for ever, and with it every later read of every file.
///
/// - Parameters:
///   - path: the path of the file; symbolic links are followed.
///   - limit: the maximum size in bytes. A larger file is the wrong file.
///   - acceptsPipe: whether a pipe and a terminal are also read, and waited for. A shell passes a pipe for
///     `<(command)`.
/// - Returns: the bytes of the file.
/// - Throws: the reason why the file cannot be read.
public func readSmallFile(
  _ path: String, limit: Int = 1024 * 1024, acceptsPipe: Bool = false
) throws(FileProblem) -> [UInt8] {
  func problem() -> FileProblem { FileProblem(description: String(cString: strerror(errno))) }
  // Without O_NONBLOCK, opening a FIFO waits for its writer. It has no effect on a regular file.
  let file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (acceptsPipe ? 0 : O_NONBLOCK))
  guard file >= 0 else { throw problem() }
  defer { close(file) }
  var status = stat()
  guard fstat(file, &status) == 0 else { throw problem() }
  if let kind = kindOfIrregularFile(status.st_mode), !(acceptsPipe && kind.isPipe) {
    throw FileProblem(description: "is \(kind.name); give a regular file")
  }
  guard status.st_size <= limit else {
    throw FileProblem(description: "has \(status.st_size) bytes; the limit is \(limit)")
  }
  var bytes: [UInt8] = []
  var block = [UInt8](repeating: 0, count: 16 * 1024)
  while bytes.count <= limit {
    let count = read(file, &block, block.count)
    if count < 0, errno == EINTR { continue }
    if count < 0 { throw problem() }
    if count == 0 { return bytes }
    bytes += block[..<count]
  }
  throw FileProblem(description: "has more than \(limit) bytes, the limit")
}

/// The kind of a file that is not a regular file, for messages; nil for a regular file.
private func kindOfIrregularFile(_ mode: mode_t) -> (name: String, isPipe: Bool)? {
  switch mode & S_IFMT {
  case S_IFREG: nil
  case S_IFDIR: ("a directory", false)
  case S_IFIFO: ("a pipe (FIFO)", true)
  case S_IFCHR: ("a character device", true)
  case S_IFBLK: ("a block device", false)
  case S_IFSOCK: ("a socket", false)
  default: ("a special file", false)
  }
}

/// Returns a warning if the permissions of a file allow other users too much.
///
/// - Parameters:
///   - path: the path of the file; symbolic links are followed. A missing file results in no warning, because reading
///     it reports the error.
///   - isSecret: whether the file must not be readable for every user of the machine.
/// - Returns: the problem and its correction, with the path; nil if there is none.
public func permissionWarning(_ path: String, isSecret: Bool) -> String? {
  var status = stat()
  guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
  let digits = String(status.st_mode & 0o7777, radix: 8)
  if status.st_mode & 0o002 != 0 {
    return "\(path): is writable by every user of this machine (mode 0\(digits)), who could change what the server "
      + "trusts; run chmod go-w"
  }
  if status.st_mode & 0o020 != 0, status.st_gid != 0 {
    return "\(path): is writable by its group (mode 0\(digits), group \(status.st_gid)), whose members could change "
      + "what the server trusts; run chmod g-w"
  }
  if status.st_uid != 0, status.st_uid != geteuid() {
    return "\(path): is owned by user \(status.st_uid), which is neither root nor the user of this process and can "
      + "change the file; run chown to make one of the two its owner"
  }
  if isSecret, status.st_mode & 0o004 != 0 {
    return "\(path): is readable by every user of this machine (mode 0\(digits)), but holds a secret; run chmod o-r"
  }
  return nil
}

/// Reads a text file that people write, by the rule of ``WrittenText``: without a byte order mark, and with LF as the
/// only line end.
///
/// - Parameters:
///   - path: the path of the file; symbolic links are followed.
///   - limit: the maximum size in bytes. A larger file is the wrong file.
/// - Returns: the text.
/// - Throws: the reason why the file cannot be read.
public func readTextFile(_ path: String, limit: Int = 1024 * 1024) throws(FileProblem) -> String {
  let bytes = try readSmallFile(path, limit: limit)
  do throws(WrittenTextProblem) {
    return try WrittenText.text(bytes)
  } catch {
    throw FileProblem(description: error.description)
  }
}

/// Reads a file that contains a value of one line, such as a token, by the rule of ``WrittenText``.
///
/// - Parameters:
///   - path: the path of the file; symbolic links are followed.
///   - limit: the maximum size in bytes. A larger file is the wrong file.
///   - acceptsPipe: see ``readSmallFile(_:limit:acceptsPipe:)``.
/// - Returns: the value, which is never empty.
/// - Throws: the reason why the file cannot be read.
public func readValueFile(
  _ path: String, limit: Int = 4096, acceptsPipe: Bool = false
) throws(FileProblem) -> String {
  let bytes = try readSmallFile(path, limit: limit, acceptsPipe: acceptsPipe)
  let value: String
  do throws(WrittenTextProblem) {
    value = try WrittenText.value(bytes)
  } catch {
    throw FileProblem(description: error.description)
  }
  guard !value.isEmpty else { throw FileProblem(description: "is empty; it must contain one line") }
  return value
}
