"""The small library behind the snippets: data, the layers built from scratch, and what several experiments repeat.

Importing `reglab` alone imports nothing else, so that the tools that only look for files start at once.
"""

__version__ = "0.1.0"
