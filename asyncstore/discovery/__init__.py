"""Where files come from.

walk      trees, lists of names, single files
dicomdir  the files that a DICOMDIR names
archives  the members of archives, and of archives in archives
zip       zip archives
tar       tar archives
streams   parts of files, and streams that are decompressed
limits    what an archive may hold
remote    objects of remote stores
unpacking unpacks, or fetches, what a walk found
ahead     threads that fetch and unpack
spool     room for what is unpacked ahead of sending
finding   files by the names that a journal or a list has for them
"""
