"""Characters that must not get through: names come from files, and must steer neither a terminal nor a parser."""

from functools import cache


@cache
def _escapes() -> dict[int, str]:
    """Control characters, what ends a line for someone (U+2028, U+2029), what turns the direction of text round, and
    what XML 1.0 has no place for (lone surrogates, U+FFFE, U+FFFF): none of them is printable, to Python either.
    """
    return {
        **{code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
        **{code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))},
        **{code: f"\\u{code:04x}" for code in (*range(0xD800, 0xE000), 0xFFFE, 0xFFFF)},
    }


def visible(text: str) -> str:
    r"""The text on one line, with what can't be printed as its escape.

    >>> print(visible("\x1b[31mred\n"))
    \x1b[31mred\x0a
    """
    return text if text.isprintable() else text.translate(_escapes())
