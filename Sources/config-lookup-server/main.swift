internal import Foundation
internal import Server

exit(
  runServer(
    arguments: Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment))
