// SPDX-License-Identifier: Apache-2.0
internal import Foundation

exit(runSubscribers(arguments: Array(CommandLine.arguments.dropFirst())))
