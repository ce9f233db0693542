"""The commands: a module for each, and the modules that several of them share."""
