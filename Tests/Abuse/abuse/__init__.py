"""Attacks on a release build of the server, and their cost for it and its other clients: see `script/abuse`."""
