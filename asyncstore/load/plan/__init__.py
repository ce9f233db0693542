"""What to measure: phases with their loads, and the times at which instances and studies arrive. Pure.

phases     a phase with its load, and lists of phases: closed, open, stages, steps, repetitions, warm-up and cool-down
arrivals   when instances or studies arrive: at fixed distances, at random, at a changing rate
profile    the exams of a year, by weekday and hour
replay     the arrivals and sizes of a recorded run
"""
