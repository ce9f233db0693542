"""Who sends what when.

backlog        instances that wait, by the context they need
outcome        what an attempt means for its file
appetite       how much a lane takes at a time
concurrency    how many associations to have
ports          what this room needs of the others
dispatch       the lanes: associations at work on the backlog
"""
