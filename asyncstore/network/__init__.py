"""Sockets: no other room touches them.

timeouts       the limits for a peer's answers
deadlines      whether the peer has exceeded them
addresses      connects to a peer with several addresses; opens a socket to listen
link           one TCP connection: buffers out, bytes in
tls            the options of TLS, and contexts that make TLS links
tls_link       a TLS session with the interface of a link
tls_profiles   the versions and cipher suites of each security profile
tls_files      keys, certificates, revocation lists
tls_failures   translates OpenSSL's errors
opening        opens an association as requestor: connect, secure, negotiate
association    an established association as requestor: store, echo, release, abort
timed          an association as requestor that measures when the parts of each store ended
requestor      the common parts of these two
acceptor       an association as acceptor
port           accepts connections for associations
deviations     warns once of each harmless deviation of a peer
"""
