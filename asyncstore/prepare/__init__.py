"""What happens to a file before it is sent.

Find the instance in a file:

file_format     which files count as instances: with file meta information, without, or both
files           open files, and check that they have not changed since the probe
probe           find the instance in a file from its file meta information
parts           the same for members of archives, where they lie
lenient_probe   the same for unusual files
head            study, series and patient, from the beginning of a data set
completeness    check that a data set is complete, without walking it if possible
element_walk    the same, element by element
small_elements  regular expressions that match runs of small elements

Re-encode and transcode:

elements        headers, VRs and tags (PS3.5 7)
encoding        transfer syntaxes; inflate and deflate
values          byte order, padding and offsets of values
result          collects a data set while it is written
reencode        rewrites a data set in another encoding
splitting       a data set in three parts: before, in and behind its pixel data
transcode       its pixel data in another transfer syntax
lossy           the attributes of an image that was compressed with losses
pixels          images and codecs
conversion      converts the data set of a file (in a worker process)
source_data     reads it there

Edit and mend:

invention       invented identities, so that one file can be many instances
edit_syntax     edits as users write them
edit_values     values as users write them
edit_map        a table of new values by patient or study
edits           edits as values that travel to the worker processes
edit_orders     what to change in each instance
splicing        new values in a new head; the rest stays where it is
data_elements   a data set as elements that can be changed
character_sets  encodes new values in the character set of a data set
editing         edits a data set
repair          mends a data set
rewriting       edits and mends the data set of a file (in a worker process)

Processes, and reading:

spool           files for converted data sets that are too large for a pipe
messages        what the pool and its worker processes say to each other
start           starts worker processes
worker          the process that probes and converts, batch by batch
process         one worker process, seen from a thread
pool            the worker processes, seen from the event loop
converter       orders edits and conversions from the pool
mapping         maps files into memory
reading         reads data sets into buffers before they are sent
"""
