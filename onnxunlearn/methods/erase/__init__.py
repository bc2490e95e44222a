"""Erase in parts: the method, its loss, what the loss is made of, where the class should go."""
