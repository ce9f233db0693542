"""The command line: what the words mean, what people read, which code a run ends with.

Rules:

1. Everything that starts quickly stays light: nothing that ``--help`` or bad usage needs imports more than the standard
   library's small modules. Each command's module, and through it the engine, is imported when that command runs.
2. The options are one table (:mod:`~asyncstore.cli.options`); tokenizer, checks, help, environment, configuration
   files, completion and manual page all read it.
3. Only this room sees ``argv``, the environment, signals and exit codes.
"""
