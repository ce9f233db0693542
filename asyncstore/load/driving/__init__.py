"""Puts a load on a peer and measures it.

driver          plays the phases of a plan
loads           decide when a store begins: a closed load, an open load
lane            the place of associations, one at a time, and the stores and the study under way on it
precise_timer   timers that keep their time to some ten microseconds
"""
