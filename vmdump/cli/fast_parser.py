"""Parses command lines of ``vmdump dump`` and ``stream`` without argparse, whose import takes as long as a whole dump.

The arguments are defined once: add_arguments makes the same calls on a FastParser as on an argparse parser. FastParser
accepts options that are spelt in full, each with its value as the next word or after "=", and SOURCE among them. For
everything else (help, errors, -oFILE, --) it returns None, and argparse parses the command line.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see vmdump/__init__.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any


class Namespace:
    """Argument values as attributes: the part of argparse.Namespace that commands use."""

    run_command: Callable[[Any, Any], Any]

    def __init__(self, values: dict[str, object]) -> None:
        self.__dict__.update(values)

    def __contains__(self, name: str) -> bool:
        """Return whether the command has an argument of this name."""
        return name in self.__dict__


class _Argument:
    """The arguments of an add_argument call. Raises TypeError for those that FastParser does not support."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        action: str = "store",
        nargs: str | None = None,
        default: Any = None,
        type: Callable[[str], Any] = str,
        choices: Iterable[Any] | None = None,
        metavar: str | None = None,
        help: str | None = None,
    ) -> None:
        is_option = names[0].startswith("-")
        if action not in ("store", "store_true", "append") or nargs not in ((None,) if is_option else (None, "?")):
            raise TypeError(f"{names}: FastParser does not support action {action} with nargs {nargs}")
        self.dest = next((name for name in names if name.startswith("--")), names[0]).lstrip("-").replace("-", "_")
        self.action, self.type, self.choices = action, type, choices
        self.is_required = not is_option and nargs is None
        self.default = False if action == "store_true" else default


class FastParser:
    """An argument parser for options and positional arguments."""

    def __init__(self) -> None:
        self._options: dict[str, _Argument] = {}
        self._positionals: list[_Argument] = []

    def add_argument(self, *names: str, **how: Any) -> _Argument:
        """Define an argument as in argparse. Raises TypeError for what is not supported."""
        argument = _Argument(names, **how)
        if names[0].startswith("-"):
            self._options.update(dict.fromkeys(names, argument))
        else:
            self._positionals.append(argument)
        return argument

    def add_argument_group(self, title: str) -> FastParser:
        """Return the parser itself: groups only structure the help."""
        return self

    def parse(self, argv: Sequence[str]) -> Namespace | None:
        """Return the values that argparse would find; None if argparse has to parse the command line."""
        values = {each.dest: each.default for each in (*self._options.values(), *self._positionals)}
        positionals = iter(self._positionals)
        words = iter(argv)
        for word in words:
            name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
            option = self._options.get(name)
            if option is None:
                argument = next(positionals, None)
                if argument is None or not _store(values, argument, word):
                    return None
            elif option.action == "store_true":
                if equals:
                    return None
                values[option.dest] = True
            elif not _store(values, option, value if equals else next(words, "-missing"), may_begin_with_dash=equals):
                return None
        return None if any(each.is_required for each in positionals) else Namespace(values)


def _store(values: dict[str, Any], argument: _Argument, text: str, may_begin_with_dash: object = False) -> bool:
    """Store the value of an argument, and return True; False if text is not a valid value."""
    if text.startswith("-") and text != "-" and not may_begin_with_dash:
        return False
    try:
        value = argument.type(text)
    except Exception:  # argparse reports it
        return False
    if argument.choices is not None and value not in argument.choices:
        return False
    if argument.action == "append":
        values[argument.dest] = [*values[argument.dest], value]
    else:
        values[argument.dest] = value
    return True
