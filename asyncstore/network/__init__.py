"""Sockets: the only room that touches them.

timeouts       how long a peer may take for what
link           one TCP connection as buffers out and bytes in
association    an association as requestor: open, store, echo, release, abort
acceptor       an association as acceptor
"""
