// SPDX-License-Identifier: Apache-2.0
internal import ConfigLookupServer
internal import FoundationEssentials
internal import Glibc

exit(
  runServer(
    arguments: Array(CommandLine.arguments.dropFirst()), environment: ProcessInfo.processInfo.environment))
