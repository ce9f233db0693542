"""Who sends what when.

backlog        instances that wait
walk_order     their order without a gate
study_order    their order with a gate: studies that have begun come first
gate           which instances of a study or patient may be under way at the same time
pair_demand    which pairs to ask the next association for, and which are refused
batch          instances on their way to one association: re-encoded, read, submitted
batch_size     how many instances a lane takes at a time
outcome        what an attempt means for its file
ledger         which files have no outcome yet, and the first failure where a failure halts the run
concurrency    how many associations to have
peer_health    what is known about the peer: capacity, refusals, silence
timetable      which rate holds when
pacing         how many stores and bytes may begin now
guard          how far to slow down for a peer that answers C-ECHO slowly
lane           the state of one lane
lanes          how many lanes are missing, and what they have done together
ports          the interfaces of associations, readers, converters and outlets
dispatch       the lanes at work on the backlog
"""
