"""Where files come from.

walk  trees, lists of names, single files
"""
