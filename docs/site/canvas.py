"""A drawing of boxes and arrows as SVG, in the colours of the text around it."""

from __future__ import annotations

from html import escape

#: Width of all drawings in pixels: text stays readable where a telephone shows them smaller.
WIDTH = 480

_HEAD = 11  # length of an arrow's head
_ACCENT = "#5c6bc0"

#: For a file that is shown as an image, which does not inherit the colour of the text.
_STYLE = "<style>svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"


class Canvas:
    """Collects shapes; coordinates are pixels from the upper left corner."""

    def __init__(self, height: int, title: str) -> None:
        self._height = height
        self._title = title
        self._shapes: list[str] = []

    def box(self, x: int, y: int, width: int, height: int, text: str, note: str = "", *, accent: bool = False) -> None:
        """Draw a box with a text, a smaller note below it; accent fills it. Raises ValueError if one is too long."""
        if max(7.5 * len(text), 5.9 * len(note)) > width:
            raise ValueError(f"too long for a box of {width} pixels: {text}, {note}")
        fill = f'fill="{_ACCENT}" stroke="{_ACCENT}"' if accent else 'fill="currentColor" fill-opacity=".06"'
        self._shapes.append(f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" {fill}/>')
        middle = x + width // 2
        colour = "#fff" if accent else "currentColor"
        if note:
            self.text(middle, y + height // 2 - 4, text, anchor="middle", colour=colour, bold=True)
            self.text(middle, y + height // 2 + 13, note, anchor="middle", colour=colour, size=11)
        else:
            self.text(middle, y + height // 2 + 5, text, anchor="middle", colour=colour, bold=True)

    def frame(self, x: int, y: int, width: int, height: int, text: str) -> None:
        """Draw a dashed frame around shapes, with a text at its upper edge."""
        self._shapes.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="none" stroke-dasharray="5 4"/>'
        )
        self.text(x + 10, y + 17, text, size=11)

    def text(
        self, x: int, y: int, text: str, *, anchor: str = "start", colour: str = "currentColor", size: int = 13,
        bold: bool = False,
    ) -> None:  # fmt: skip
        """Write a line; y is its base line."""
        weight = ' font-weight="600"' if bold else ""
        self._shapes.append(
            f'<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}"{weight} fill="{colour}" stroke="none">'
            f"{escape(text)}</text>"
        )

    def arrow(self, *points: tuple[int, int], text: str = "") -> None:
        """Draw an arrow through points; the last piece is vertical or horizontal. The text stands beside its middle."""
        (x1, y1), (x2, y2) = points[-2:]
        dx, dy = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
        path = " ".join(f"{x},{y}" for x, y in (*points[:-1], (x2 - dx * _HEAD, y2 - dy * _HEAD)))
        left, right = (
            (x2 - dx * _HEAD - dy * 5, y2 - dy * _HEAD - dx * 5),
            (x2 - dx * _HEAD + dy * 5, y2 - dy * _HEAD + dx * 5),
        )
        self._shapes.append(f'<polyline points="{path}" fill="none"/>')
        self._shapes.append(
            f'<polygon points="{x2},{y2} {left[0]},{left[1]} {right[0]},{right[1]}" fill="currentColor" stroke="none"/>'
        )
        if text:
            self.text((x1 + x2) // 2 + 8, (y1 + y2) // 2 + 4, text, size=11)

    def svg(self, *, is_file: bool) -> str:
        """Return the drawing, as a file or as a part of a page."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self._height}" width="{WIDTH}" role="img" '
            'stroke="currentColor" stroke-width="1.3" font-family="system-ui, sans-serif">'
            f"<title>{escape(self._title)}</title>{_STYLE if is_file else ''}{''.join(self._shapes)}</svg>"
        )
