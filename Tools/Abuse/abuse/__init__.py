# SPDX-License-Identifier: Apache-2.0
"""Attacks on a release build of the server, and their cost for it and its other clients: see `script/abuse`."""
