"""The ways in which `mutants.py` breaks the engine, a table for each of its parts."""

from .content import CONTENT
from .questions import QUESTIONS
from .reuse import REUSE
from .runs import RUNS

MUTANTS = CONTENT + RUNS + REUSE + QUESTIONS
