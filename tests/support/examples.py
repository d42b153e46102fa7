"""How many examples a property is tried with: few by default, more in the profile ``thorough`` (see conftest.py)."""

from hypothesis import settings

#: Examples of a usual property in the loaded profile; properties that need more use a multiple of it.
EXAMPLES = settings().max_examples
