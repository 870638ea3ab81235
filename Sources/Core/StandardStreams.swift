internal import Glibc

/// The process's standard input, output and error: made safe at start, and written to with a result.
public enum StandardStreams {
  /// Reserves the descriptors 0, 1 and 2, and turns SIGPIPE into an error of the write.
  ///
  /// A program that was started with one of the three closed (`>&-`) gives its number to the next file or socket that
  /// it opens, and what it prints goes there. A closed one is replaced by a descriptor on which reads or writes fail
  /// with EBADF, as they do on a closed one. Call it before anything else is opened, from the main thread.
  public static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // The wrong direction, so that its use fails. The kernel gives the lowest free number, which is this one.
      let opened = open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY)
      if opened > descriptor { close(opened) }
    }
  }

  /// Writes a text to standard output, whole, before it returns. Nothing is buffered.
  ///
  /// - Throws: ``OutputProblem`` when any byte cannot be written.
  public static func write(_ text: String) throws(OutputProblem) {
    var text = text
    let code = text.withUTF8 { bytes -> Int32 in
      var rest = UnsafeRawBufferPointer(bytes)
      while !rest.isEmpty {
        let count = Glibc.write(STDOUT_FILENO, rest.baseAddress, rest.count)
        if count >= 0 {
          rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        } else if errno == EAGAIN {
          // Another process has made the open file non-blocking, which all of its descriptors share.
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

/// What kept a write to standard output from being complete.
public struct OutputProblem: Error, Sendable, Hashable, CustomStringConvertible {
  /// The number in `errno`.
  public let code: Int32

  /// A problem with the number of an error as errno(3) has it.
  public init(code: Int32) {
    self.code = code
  }

  /// Whether the reader of a pipe has closed its end, as `head` does when it has enough. This is no fault.
  public var isClosedPipe: Bool { code == EPIPE }

  /// `EX_IOERR` of sysexits.h; for a closed pipe the status that a shell gives a process which SIGPIPE ended.
  public var exitStatus: Int32 { isClosedPipe ? 128 + SIGPIPE : EX_IOERR }

  public var description: String {
    "standard output: \(String(cString: strerror(code))); the output is incomplete"
  }
}
