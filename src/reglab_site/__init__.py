"""Runs the snippets of reglab, weaves its bilingual pages, renders their formulas and figures, and makes the notebooks."""
