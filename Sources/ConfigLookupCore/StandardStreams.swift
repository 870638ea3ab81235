// SPDX-License-Identifier: Apache-2.0
internal import Glibc

/// The standard input, output and error of the process: prepared at start, and written with error handling.
public enum StandardStreams {
  /// Reserves the descriptors 0, 1 and 2, and turns SIGPIPE into an error of the write.
  ///
  /// If a program is started with one of the three closed (`>&-`), the next file or socket that it opens gets that
  /// number, and receives what the program prints. So each closed descriptor is replaced by one on which reads or
  /// writes fail with EBADF, as they do on a closed one. Must be called on the main thread before anything else is
  /// opened.
  public static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The wrong direction, so that its use fails. The kernel assigns the lowest free number, which is this one.
      let opened = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
      if opened > descriptor { close(opened) }
    }
  }

  /// Writes a whole text to standard output before it returns. Nothing is buffered.
  ///
  /// - Parameter text: the text.
  /// - Throws: ``OutputProblem`` if any byte cannot be written.
  public static func write(_ text: String) throws(OutputProblem) {
    var text = text
    let code = text.withUTF8 { bytes -> Int32 in
      var rest = UnsafeRawBufferPointer(bytes)
      while !rest.isEmpty {
        let count = Glibc.write(STDOUT_FILENO, rest.baseAddress, rest.count)
        if count >= 0 {
          rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        } else if errno == EAGAIN {
          // Another process has made the open file non-blocking, which affects all of its descriptors.
          var item = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
          poll(&item, 1, -1)
        } else if errno != EINTR {
          return errno
        }
      }
      return 0
    }
    if code != 0 { throw OutputProblem(code: code) }
  }
}

/// The reason why a write to standard output was incomplete.
public struct OutputProblem: Error, Sendable, Hashable, CustomStringConvertible {
  /// The value of `errno`.
  public let code: Int32

  /// Creates a problem.
  ///
  /// - Parameter code: an error number, see errno(3).
  public init(code: Int32) {
    self.code = code
  }

  /// Whether the reader of a pipe has closed its end, as `head` does when it has read enough. This is not an error.
  public var isClosedPipe: Bool { code == EPIPE }

  /// `EX_IOERR` of sysexits.h; for a closed pipe the status that a shell reports for a process that SIGPIPE ended.
  public var exitStatus: Int32 { isClosedPipe ? 128 + SIGPIPE : EX_IOERR }

  /// The message for people.
  public var description: String {
    "standard output: \(String(cString: strerror(code))); the output is incomplete"
  }
}
