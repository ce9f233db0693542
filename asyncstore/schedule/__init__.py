"""Who sends what when.

backlog        instances that wait, by the context they need
needs          what the run needs of associations: which pairs to ask for, and which are refused
batch          instances on their way to one association: converted, read, submitted
outcome        what an attempt means for its file
ledger         which files have no outcome yet, and the first failure where a failure halts the run
appetite       how much a lane takes at a time
concurrency    how many associations to have
peer_health    what is known about the peer: capacity, refusals, silence
lane           what is known of one lane
lanes          how many lanes are missing, and what they have come to together
ports          what this room needs of the others
dispatch       the lanes: associations at work on the backlog
"""
