"""Pages that people look at: one HTML file without scripts, with lines drawn as SVG."""

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from math import floor

WIDTH, HEIGHT = 1000, 180
Point = tuple[float, float]
"""Seconds, and a value."""

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 68rem; padding: 0 1rem; color: #1c1c1c }
table { border-collapse: collapse } td, th { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top }
.no { color: #b00020; font-weight: 600 } .yes { color: #0b6e4f } svg { width: 100%; background: #f6f6f6 }
.small { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: .8rem }
figure { margin: 0 } figcaption, small { color: #555; font-size: 85%; overflow-wrap: anywhere }
"""


def document(title: str, body: Iterable[str]) -> str:
    """A page with that title, also as its heading."""
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
    return "\n".join([f"{head}<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>", *body, "</body></html>"])


def per_second(times: Iterable[float]) -> list[Point]:
    """How many of these moments there are in each second, from 0 on; averages where there are many seconds."""
    counts = Counter(floor(at) for at in times)
    end = max(counts, default=0) + 1
    step = max(1, -(-end // WIDTH))
    return [(begin, sum(counts[begin + each] for each in range(step)) / step) for begin in range(0, end, step)]


def lines(series: Sequence[Sequence[Point]], unit: str, height: int = HEIGHT, marks: Sequence[float] = ()) -> str:
    """Lines over time, each from 0 to the highest value of all; `marks` are times with a thin line across."""
    end = max((at for line in series for at, _ in line), default=0.0) or 1.0
    highest = max((value for line in series for _, value in line), default=0.0) or 1.0
    drawn = "".join(
        '<polyline fill="none" stroke="#0b6e4f" stroke-width="1.5" points="{}"/>'.format(
            " ".join(f"{at * WIDTH / end:.1f},{height - value * (height - 4) / highest:.1f}" for at, value in line)
        )
        for line in series
    )
    if marks:
        across = "".join(f"M{at * WIDTH / end:.1f} 0V{height}" for at in marks)
        drawn += f'<path d="{across}" stroke="#b00020" stroke-width=".6" opacity=".35"/>'
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" preserveAspectRatio="none" role="img">{drawn}</svg>'
        f"<small>0 to {highest:,.4g}{unit}, 0 to {end:,.0f} s</small>"
    )
