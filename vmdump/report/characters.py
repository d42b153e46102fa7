"""Escapes characters that could control a terminal or confuse a parser. Names come from untrusted files."""


def visible(text: str) -> str:
    r"""Return the text with all unprintable characters escaped, so that it is a single line.

    Escaped are control characters, bytes that are not UTF-8 (surrogates in Python), bidirectional controls, zero-width
    characters, line separators (U+2028), and private and unassigned characters. These include all that XML 1.0 forbids.

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
