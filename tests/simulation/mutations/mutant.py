"""What a mutant is."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """One promise of the engine, broken in one place of `src/engine/`."""

    name: str
    file: str
    # The text that stands exactly once in the file, and what is put in its place.
    old: str
    new: str
    # The promise.
    breaks: str
    # Parts of the findings that may notice it, or `scene NAME`.
    noticed: tuple[str, ...]
