"""The command line: the meaning of its words, the texts that people read, the exit codes.

:mod:`~asyncstore.cli.options` has the tables and reads words, environment and files by them;
:mod:`~asyncstore.cli.commands` has a module for each command; :mod:`~asyncstore.cli.logging` writes log records;
:mod:`~asyncstore.cli.text` has help, manual page and hints. The modules beside them turn options into what the engine
takes, and see to the process: streams, signals, exit codes.

Rules:

1. ``--help`` and bad usage are answered quickly: they import nothing but small modules of the standard library. The
   module of a command, and through it the engine, is imported when that command runs.
2. The options are one table (:mod:`~asyncstore.cli.options.rows`). Tokenizer, checks, help, environment, configuration
   files, completion and manual page all read it.
3. Only this room sees ``argv``, the environment, signals and exit codes.
"""
