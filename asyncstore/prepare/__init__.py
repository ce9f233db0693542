"""What happens to a file before it is sent.

file_format     which files count as instances: with file meta information, without, or both
files           open files, and check that they have not changed since the probe
probe           find the instance in a file from its file meta information
parts           the same for members of archives, where they lie
lenient_probe   the same for unusual files
completeness    check that a data set is complete, without walking it if possible
element_walk    the same, element by element
small_elements  regular expressions that match runs of small elements
elements        headers, VRs and tags (PS3.5 7)
encoding        transfer syntaxes; inflate and deflate
values          byte order, padding and offsets of values
result          collects a data set while it is written
reencode        rewrites a data set in another encoding
conversion      converts the data set of a file (in a worker process)
invention       invented identities, so that one file can be many instances
spool           files for converted data sets that are too large for a pipe
worker          the process that probes and converts, batch by batch
process         one worker process, seen from a thread
pool            the worker processes, seen from the event loop
converter       orders conversions from the pool
reading         reads data sets into buffers before they are sent
"""
