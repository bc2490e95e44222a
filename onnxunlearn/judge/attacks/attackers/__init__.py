"""What attackers work with: classifiers fitted on features, models trained further, inputs asked again.

May import adam, edits, engines, errors, graph, judge, numerics, probes and reverse.
"""
