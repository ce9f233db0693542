"""Sockets: the only room that touches them.

timeouts       how long a peer may take for what
deadlines      whether it has taken longer
addresses      the one connection to a peer that has several addresses, and where to listen
link           one TCP connection as buffers out and bytes in
tls            what is asked of TLS, and what makes links with it
tls_link       a TLS session as buffers out and bytes in
tls_profiles   which versions and cipher suites a security profile allows
tls_files      keys, certificates, revocation lists
tls_failures   what OpenSSL says, in the project's errors
association    an association as requestor: open, store, echo, release, abort
acceptor       an association as acceptor
port           where associations are accepted
"""
