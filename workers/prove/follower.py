"""A client that follows the change feed and must neither miss nor repeat anything."""

import json
from collections.abc import Sequence

from workers.prove.client import Client
from workers.prove.doors import Door, HttpClient

_PAGE = 1000
_PAUSE_SECONDS = 0.05


class Follower(Client):
    """Asks for what came since its last change, on whatever node answers, until nothing comes any more."""

    def __init__(self, *client: object, since: int, number: int, doors: Sequence[Door]) -> None:
        super().__init__(*client)  # type: ignore[arg-type]
        self.since = since
        self.position = 0
        self._number = number
        self._doors = doors

    def work(self) -> None:
        with HttpClient(self._doors, self._number) as http:
            while not self.gone:
                shown = self._page(http)
                if shown == 0:
                    if self.random.random() < 0.05:
                        http.move()
                    self._gone.wait(_PAUSE_SECONDS)

    def catch_up(self) -> None:
        """After the run: read what is left."""
        with HttpClient(self._doors, self._number) as http:
            while self._page(http):
                pass

    def _page(self, http: HttpClient) -> int:
        answer = http.ask("GET", f"/changes?since={self.since}&limit={_PAGE}")
        if answer.status != 200:
            self.pause(3)
            return 0
        page = json.loads(answer.body)
        numbers = [change["Seq"] for change in page["Changes"]]
        self.history.follow(self.name, self.position, numbers)
        self.position += len(numbers)
        self.since = page["Last"]
        return len(numbers)
