"""Characters that must not get through: names come from files, and must steer neither a terminal nor a parser."""


def visible(text: str) -> str:
    r"""The text on one line, with what can't be printed as its escape: control characters, bytes that are not UTF-8
    (which Python reads as surrogates), what changes the direction of text, what has no width, what ends a line for
    somebody (U+2028), private and unassigned characters. What XML 1.0 has no place for is among them.

    >>> print(visible("\x1b[31mred\n"), visible("a\u202eb"), visible(b"caf\xe9".decode(errors="surrogateescape")))
    \x1b[31mred\x0a a\u202eb caf\xe9
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(ord(char)) for char in text)


def _escape(code: int) -> str:
    if 0xDC80 <= code <= 0xDCFF:  # a byte
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
