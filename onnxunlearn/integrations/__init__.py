"""Where edited models go next: a tracking server, a model repository. Each is a module of its own, to be
imported by its name:

from onnxunlearn.integrations import mlflow, triton

May import digests, errors, graph, judge and text.
"""
