"""A client that competes with others for one metadata by If-Match: each revision must be given once."""

from collections.abc import Sequence

from workers.prove.client import Client
from workers.prove.doors import Door, HttpClient
from workers.prove.history import Kind, Operation, Outcome

METADATA = "1024"
_PAUSE_SECONDS = 0.05


class Reviser(Client):
    """Reads the ETag of a metadata of one of `instances`, and replaces exactly that revision."""

    def __init__(self, *client: object, instances: Sequence[str], number: int, doors: Sequence[Door]) -> None:
        super().__init__(*client)  # type: ignore[arg-type]
        self._instances = instances
        self._doors = doors
        self._number = number

    def work(self) -> None:
        attempt = 0
        with HttpClient(self._doors, self._number) as http:
            while not self._stopping.wait(_PAUSE_SECONDS):
                attempt += 1
                instance = self.random.choice(self._instances)
                path = f"/instances/{instance}/metadata/{METADATA}"
                present = http.ask("GET", path)
                if present.status not in (200, 404):
                    self.pause(1)
                    continue
                headers = {"If-Match": present.headers["etag"]} if present.status == 200 else {}
                value = f"{self.name}.{attempt}"
                began = self.history.now()
                answer = http.ask("PUT", path, value.encode(), headers)
                outcome = {200: Outcome.DONE, 409: Outcome.REFUSED, 503: Outcome.UNKNOWN, 0: Outcome.UNKNOWN}.get(
                    answer.status, Outcome.UNEXPECTED
                )
                detail = answer.headers["etag"] if outcome is Outcome.DONE else f"HTTP {answer.status}"
                self.history.add(
                    Operation(self.name, Kind.REVISE, instance, value, began, self.history.now(), outcome, detail)
                )
