internal import Foundation

exit(runSubscribers(arguments: Array(CommandLine.arguments.dropFirst())))
