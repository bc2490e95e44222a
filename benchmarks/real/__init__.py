"""Models of real size, from packages, and inputs for them; see benchmarks/real_size.py."""
