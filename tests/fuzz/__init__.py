"""Fuzzing: programs that mutate input, and check that nothing but the project's own errors comes out.

targets/    one module a target: what is fuzzed, its seeds, and one execution
harness     what holds for each execution: which errors may come out, how long it may take, how much memory
campaign    runs a target under atheris, which is guided by coverage
samples     files and journals that seeds are made of

``make fuzz`` runs campaigns; test_targets.py runs each target for a moment in the suite.
"""
