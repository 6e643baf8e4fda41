"""The parts of benches/watching.py: trees, processes, tools, and what is measured of them."""
