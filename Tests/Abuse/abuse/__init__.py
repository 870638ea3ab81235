"""Attacks on a server that runs as it is released, and what they cost it and its other clients: see `script/abuse`."""
