"""Runs the snippets of reglab, weaves its bilingual pages, renders formulas and figures, makes the notebooks."""
