"""What happens to a file before it is sent.

probe      what instance a file holds, from its file meta information
unusual    the same for files out of the ordinary, with pydicom
worker     the process that probes, batch by batch
pool       the worker processes, seen from the event loop
reading    data sets into buffers, by reader threads, ahead of the sending
"""
