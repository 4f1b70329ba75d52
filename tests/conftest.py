"""While tests run, beartype checks the annotations of `reglab` (an int may stand for a float); torch has one thread."""

import os

from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two threads on a busy machine are many times slower than one
install_import_hook("reglab", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
