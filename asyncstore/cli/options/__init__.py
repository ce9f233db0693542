"""The options: their table, the words of a command line, the environment and configuration files."""
