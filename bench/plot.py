"""Curves as SVG with logarithmic axes, a dot for each row."""

import math
from collections import defaultdict
from collections.abc import Iterable
from html import escape
from pathlib import Path

from amount import amount
from measure import Result

WIDTH, HEIGHT, MARGIN = 640, 360, 70


def plot_curves(results: Iterable[Result], folder: Path) -> list[Path]:
    """Write a file for each curve with at least two points, named after the curve."""
    curves: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.row.curve:
            curves[result.row.curve].append(result)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, points in curves.items():
        if len(points) > 1:
            path = folder / (name.replace(",", "").replace(" ", "-") + ".svg")
            path.write_text(_svg(name, points))
            written.append(path)
    return written


def _svg(name: str, points: list[Result]) -> str:
    unit = points[0].row.unit
    xs = [math.log10(point.row.at) for point in points]
    # A decade at least, so that a flat curve looks flat.
    middle = sum(math.log10(point.figure) for point in points) / len(points)
    low = min(middle - 0.5, *(math.log10(point.figure) for point in points))
    high = max(middle + 0.5, *(math.log10(point.figure) for point in points))
    places = []
    for x, point in zip(xs, points, strict=True):
        across = MARGIN + (x - xs[0]) / (xs[-1] - xs[0]) * (WIDTH - 2 * MARGIN)
        down = HEIGHT - MARGIN - (math.log10(point.figure) - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        places.append((across, down))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="13" text-anchor="middle">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{WIDTH / 2}" y="28" font-size="16">{escape(name)}: time {escape(unit[2:])}</text>',
        f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" fill="none" stroke="#888"/>',
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in places)}" fill="none" stroke="#06c"/>',
    ]
    for (x, y), point in zip(places, points, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="#06c"/>')
        parts.append(f'<text x="{x:.1f}" y="{y - 12:.1f}">{escape(amount(point.figure, "s"))}</text>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - MARGIN + 24}">{point.row.at:,.0f}</text>')
    return "\n".join([*parts, "</svg>", ""])
