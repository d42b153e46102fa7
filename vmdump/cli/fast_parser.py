"""Reads a command line that is as it should be, without argparse, whose import and set-up take as long as a whole dump.

The arguments have one definition, the calls that a command's add_arguments makes. Here they are made on a Reader, which
notes them; in parser.py on an argparse parser. The Reader understands options that are spelt in full, with their values
behind them, and SOURCE and TYPE among them. Of anything else (help, mistakes, -oFILE, --) it says None, and argparse
is asked: its words are the errors.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any


class Namespace:
    """The values of arguments, as attributes: what commands use of argparse.Namespace."""

    run_command: Callable[[Any, Any], Any]

    def __init__(self, values: dict[str, object]) -> None:
        self.__dict__.update(values)

    def __contains__(self, name: str) -> bool:
        """Whether there is such an argument."""
        return name in self.__dict__


class _Argument:
    """What add_argument was called with."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        action: str = "store",
        nargs: str | None = None,
        default: Any = None,
        type: Callable[[str], Any] = str,
        choices: Iterable[Any] | None = None,
        required: bool = False,
        metavar: str | None = None,
        help: str | None = None,
    ) -> None:
        if action not in ("store", "store_true", "append") or nargs not in (None, "?", "+"):
            raise TypeError(f"{names}: action {action}, nargs {nargs}: the Reader has to learn them")
        self.dest = next((name for name in names if name.startswith("--")), names[0]).lstrip("-").replace("-", "_")
        self.action, self.is_optional, self.type, self.choices = action, nargs == "?", type, choices
        self.is_list = nargs == "+"
        self.is_required = required
        self.default = False if action == "store_true" else default


class Reader:
    """Takes the same calls as an argparse parser of a command, and reads the arguments that they define."""

    def __init__(self) -> None:
        self._options: dict[str, _Argument] = {}
        self._positionals: list[_Argument] = []

    def add_argument(self, *names: str, **how: Any) -> _Argument:
        """As in argparse; TypeError for what is not understood here."""
        argument = _Argument(names, **how)
        if names[0].startswith("-"):
            self._options.update(dict.fromkeys(names, argument))
        else:
            self._positionals.append(argument)
        return argument

    def add_argument_group(self, title: str) -> Reader:
        """Groups are for the help alone."""
        return self

    def read(self, argv: Sequence[str]) -> Namespace | None:
        """The values of all arguments as argparse would find them; None where it has to be asked."""
        values = {each.dest: each.default for each in (*self._options.values(), *self._positionals)}
        positionals: list[str] = []
        words = iter(argv)
        runs = 0  # of positionals, with options between them
        is_in_run = False
        for word in words:
            name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
            option = self._options.get(name)
            if option is None:
                if word.startswith("-") and word != "-":
                    return None
                positionals.append(word)
                runs += not is_in_run
                is_in_run = True
                continue
            is_in_run = False
            if option.action == "store_true":
                if equals:
                    return None
                values[option.dest] = True
            else:
                text = value if equals else next(words, "-missing")
                if not _store(values, option, text, may_begin_with_dash=bool(equals)):
                    return None
        if any(each.is_required and values[each.dest] is None for each in self._options.values()):
            return None
        asked = self._positionals
        if any(each.is_list for each in asked):
            if len(asked) > 1 or runs > 1:
                return None  # to argparse, those behind an option are too many
            values[asked[0].dest] = []
            asked = asked * max(len(positionals), 1)
        if len(positionals) < len(asked):
            asked = [each for each in asked if not each.is_optional]
        if len(positionals) != len(asked):
            return None
        return Namespace(values) if all(map(_store, [values] * len(asked), asked, positionals)) else None


def _store(values: dict[str, Any], argument: _Argument, text: str, may_begin_with_dash: bool = False) -> bool:
    """Whether this is a value of the argument; then it is in values."""
    if text.startswith("-") and text != "-" and not may_begin_with_dash:
        return False
    try:
        value = argument.type(text)
    except Exception:  # whatever it is, argparse knows what to say
        return False
    if argument.choices is not None and value not in argument.choices:
        return False
    if argument.action == "append" or argument.is_list:
        values[argument.dest] = [*values[argument.dest], value]
    else:
        values[argument.dest] = value
    return True
