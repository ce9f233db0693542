"""Where files come from.

walk      trees and single files
lists     names of files in lists
dicomdir  the files that a DICOMDIR names
archives  the members of archives, and of archives in archives
zip       members of zip archives
tar       members of tar archives
streams   parts of files, and streams of bytes
inflating streams that are decompressed
limits    what an archive may hold
remote    objects of remote stores
stores    remote stores: how they are opened and asked, and what their errors mean
sftp      SFTP by fsspec and paramiko, with what these lack
unpacking unpacks, or fetches, what a walk found
ahead     threads that fetch and unpack
spool     room for what is unpacked ahead of sending
finding   files by the names that a journal or a list has for them
"""
