"""Erase in parts: the method, its loss, what the loss is made of, where the class should go.

May import adam, arguments, choices, edits, engines, errors, graph, methods, numerics, probes, relevance,
reverse, streams and tasks.
"""
