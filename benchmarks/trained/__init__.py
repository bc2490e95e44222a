"""Classifiers trained for the benchmarks, with for every class a reference that never saw it."""
