"""What to measure: phases with their loads, and the times at which instances and studies arrive. Pure.

phases     a phase with its load, and lists of phases: closed, open, stages, steps, repeats, warm-up and cool-down
arrivals   when instances or studies arrive: at fixed distances, at random, at a changing rate
"""
