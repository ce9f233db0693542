"""Who sends what when.

options        how the lanes of a run work
stock          the instances from the walk to their outcomes: what lanes take, what is settled, halted, tried again
backlog        instances that wait
walk_order     their order without a gate
study_order    their order with a gate: studies that have begun come first
gate           which instances of a study or patient may be under way at the same time
pair_demand    which pairs to ask the next association for, and which are refused
batch          instances on their way to one association: re-encoded, read, submitted
batch_size     how many instances a lane takes at a time
outcome        what an attempt means for its file
ledger         which files have no outcome yet, and the first failure where a failure halts the run
retry          which instances are sent again, when, and which of them alone
concurrency    how many associations to have
peer_health    what is known about the peer: capacity, refusals, silence, outages
timetable      which rate holds when
pacing         how many stores and bytes may begin now
guard          how far to slow down for a peer that answers C-ECHO slowly
lane           the state of one lane
lanes          how many lanes are missing, and what they have done together
turns          lanes wait for their turn under a limit
serving        a lane at work over its open association
signal         one task wakes others
jitter         random pauses
ports          the interfaces of associations, readers, converters and outlets
dispatch       the lanes come and go, pause and stop
"""
