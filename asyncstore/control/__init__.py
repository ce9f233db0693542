"""Steer a run that is under way: requests come over a Unix socket beside its journal.

* :mod:`~asyncstore.control.steering`: what can be asked of a run, and the answers.
* :mod:`~asyncstore.control.status`: the state of a run as an object for programs.
* :mod:`~asyncstore.control.server`: takes requests while a run goes on.
* :mod:`~asyncstore.control.client`: sends one request to a run.
* :mod:`~asyncstore.control.place`: where the socket lies.

Rules of the protocol:

1. A connection carries one request and one answer, each a JSON object in one line. A request has at most 64 KiB.
2. A request has ``version`` (1), ``request`` (its name) and, if the request needs one, ``value``. An answer has
   ``version`` and ``ok``. If that is false, ``error`` says why in one clause. Otherwise ``message`` says what was done;
   the answer to ``status`` has the object ``status`` instead.
3. New versions may add requests and fields. They never rename or remove one or change its meaning.
"""
