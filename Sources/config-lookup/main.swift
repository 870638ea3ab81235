// SPDX-License-Identifier: Apache-2.0
internal import CommandLineTool
internal import Foundation

exit(runTool(arguments: Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment))
