"""Who sends what when.

backlog        instances that wait, by the context they need
carriage       what an association carries, and in which transfer syntax
outcome        what an attempt means for its file
appetite       how much a lane takes at a time
concurrency    how many associations to have
lane           what is known of one lane
ports          what this room needs of the others
dispatch       the lanes: associations at work on the backlog
"""
