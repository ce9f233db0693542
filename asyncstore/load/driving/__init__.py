"""Puts a load on a peer and measures it.

driver          plays the phases of a plan
loads           decides when a store begins: a closed load, an open load
lane            the place of associations, one at a time, and the stores under way on it
ports           the interfaces that this room uses
"""
