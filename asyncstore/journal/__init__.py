"""The journal: what survives the end of a run, in an SQLite database. The only room that imports apsw.

* :mod:`~asyncstore.journal.journal`: a run records how deliveries ended.
* :mod:`~asyncstore.journal.lookup`: a resumed run asks what earlier ones did with a file.
* :mod:`~asyncstore.journal.clashes`: a scan completes its catalogue.
* :mod:`~asyncstore.journal.catalogue`: a run sends from the catalogue.
* :mod:`~asyncstore.journal.accounts`, :mod:`~asyncstore.journal.studies`: a report sums up.
* :mod:`~asyncstore.journal.settings`: which migration it is, and the command to repeat.
* :mod:`~asyncstore.journal.versions`: a journal that an earlier version of asyncstore made is read and taken over.
* :mod:`~asyncstore.journal.salvage`, :mod:`~asyncstore.journal.homeless`: what is left of a damaged journal.

A reader finds the tables in :mod:`~asyncstore.journal.schema`.
"""
