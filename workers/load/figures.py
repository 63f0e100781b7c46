"""What a ledger says in numbers."""

import sqlite3
from collections import Counter
from collections.abc import Iterator


class Figures:
    """The questions that a ledger answers; nothing here writes."""

    _database: sqlite3.Connection

    def deliveries(self) -> Iterator[tuple[float, float]]:
        """When each acknowledged instance was, and its latency in seconds; in the order of time."""
        yield from self._database.execute(
            "SELECT acknowledged_at, latency_seconds FROM deliveries WHERE acknowledged_at IS NOT NULL ORDER BY 1"
        )

    def failed(self) -> dict[str, list[float]]:
        """When attempts failed, by reason; the most frequent first."""
        found: dict[str, list[float]] = {reason: [] for reason in self.failures()}
        for reason, at in self._database.execute("SELECT reason, at FROM failures ORDER BY at"):
            found[reason].append(at)
        return found

    def searches(self) -> list[tuple[float, float, str]]:
        """Began, seconds and failure (empty: none) of each search."""
        return list(self._database.execute("SELECT began, seconds, failure FROM searches ORDER BY began"))

    def deletions(self) -> list[tuple[float, float, str]]:
        """Began, seconds and failure (empty: none) of each deletion that came to an end."""
        query = "SELECT began, seconds, failure FROM deletions WHERE failure IS NOT NULL ORDER BY began"
        return list(self._database.execute(query))

    def failed_beside(self) -> Counter[str]:
        """Searches and deletions that failed, in words."""
        searches = Counter(f"searches failed: {failure}" for _, _, failure in self.searches() if failure)
        return searches + Counter(f"deletions failed: {failure}" for _, _, failure in self.deletions() if failure)

    def measured(self) -> dict[tuple[str, str], list[tuple[float, float]]]:
        """What servers said of themselves: by address and name, times and values; without what never changed."""
        found: dict[tuple[str, str], list[tuple[float, float]]] = {}
        query = (
            "SELECT url, name, at, value FROM metrics WHERE (url, name) IN"
            " (SELECT url, name FROM metrics GROUP BY url, name HAVING min(value) < max(value)) ORDER BY url, name, at"
        )
        for url, name, at, value in self._database.execute(query):
            found.setdefault((url, name), []).append((at, value))
        return found

    def totals(self) -> tuple[int, int, int, int]:
        """Instances sent, of these acknowledged, attempts of all, bytes of acknowledged data sets."""
        (row,) = self._database.execute(
            "SELECT count(*), count(acknowledged_at), coalesce(sum(attempts), 0),"
            " coalesce(sum(size) FILTER (WHERE acknowledged_at IS NOT NULL), 0) FROM deliveries"
        )
        return (row[0], row[1], row[2], row[3])

    def last_acknowledged_at(self) -> float | None:
        """When the last Success came, on the senders' clock."""
        (row,) = self._database.execute("SELECT max(acknowledged_at) FROM deliveries")
        last: float | None = row[0]
        return last

    def seconds(self) -> float:
        """How long there was sending, from the start to the last success; times of several parts count once."""
        total, until = 0.0, float("-inf")
        for began, ended in self._database.execute("SELECT began, ended FROM sendings ORDER BY began"):
            total += max(0.0, (ended or began) - max(began, until))
            until = max(until, ended or began)
        return total

    def newest_seconds(self) -> float:
        """The same of the newest run in this file."""
        row = self._database.execute("SELECT ended - began FROM sendings ORDER BY rowid DESC LIMIT 1").fetchone()
        return float(row[0] or 0.0) if row else 0.0

    def latency_seconds(self, percentile: float) -> float | None:
        """Nearest-rank percentile of the acknowledged attempts; None if there are none."""
        acknowledged = self.totals()[1]
        rank = max(0, -(-acknowledged * percentile // 100) - 1)
        row = self._database.execute(
            "SELECT latency_seconds FROM deliveries WHERE acknowledged_at IS NOT NULL"
            " ORDER BY latency_seconds LIMIT 1 OFFSET ?",
            (int(rank),),
        ).fetchone()
        return row[0] if row else None

    def per_target(self) -> dict[str, int]:
        """Acknowledged instances by target."""
        return dict(
            self._database.execute(
                "SELECT target, count(acknowledged_at) FROM deliveries GROUP BY target ORDER BY target"
            )
        )

    def failures(self) -> dict[str, int]:
        """Failed attempts by reason, the most frequent first."""
        return dict(
            self._database.execute(
                "SELECT reason, count(*) FROM failures GROUP BY reason ORDER BY count(*) DESC, reason"
            )
        )

    def overwritten(self) -> int:
        """Instances that were sent and acknowledged with two contents."""
        query = "SELECT count(*) FROM deliveries WHERE acknowledged_at IS NOT NULL AND second_acknowledged"
        (row,) = self._database.execute(query)
        number: int = row[0]
        return number
