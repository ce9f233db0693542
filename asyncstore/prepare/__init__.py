"""What happens to a file before it is sent.

file_format  which files are taken for instances
files        files, opened; and whether they are still those that were looked into
probe        what instance a file holds, from its file meta information
lenient_probe  the same for files out of the ordinary
completeness whether a data set is all there and may be sent
element_walk what completeness cannot tell at a glance, element by element
flaws        what keeps a data set from being sent, in words
small_elements  runs of small elements, recognised in one step
elements     how data sets are encoded: headers, VRs
encoding     how data sets are encoded as a whole: what transfer syntaxes say, inflating and deflating
values       byte order, padding and offsets of values
result       a data set while it is written
reencode     a data set in another encoding
conversion   a file's data set as it is to be sent, where that is not as it lies in the file
invention    invented identities, for those who want one file to be many instances
spool        converted data sets that are too large for a pipe
worker       the process that probes and converts, batch by batch
process      one worker process, seen from a thread
pool         the worker processes, seen from the event loop
converter    conversions, ordered from the pool
reading      data sets into buffers, ahead of the sending
"""
