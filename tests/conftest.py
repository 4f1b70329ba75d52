"""While tests run, beartype checks the types and shapes in every annotation of `reglab`."""

from jaxtyping import install_import_hook

install_import_hook("reglab", "beartype.beartype")
