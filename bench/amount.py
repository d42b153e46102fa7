"""Formatting of figures."""


def amount(value: float, unit: str) -> str:
    """Format a figure: 0.000203 and "s a field" as "203 us a field"; bytes in KiB or MiB; counts in millions."""
    base, _, per = unit.partition(" ")
    per = per and " " + per
    if base == "B":
        scale, prefix = (1 << 20, "MiB") if value >= 1 << 20 else (1 << 10, "KiB")
        return f"{value / scale:.1f} {prefix}{per}"
    if base != "s":
        return f"{value / 1e6:.3f} M {unit}"
    scales = ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))
    scale, prefix = next((each for each in scales if value >= each[0]), scales[-1])
    return f"{value / scale:.3g} {prefix}{per}"
