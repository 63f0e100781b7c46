"""Searches for tags that are not in the index: candidates are looked at one file at a time (interop/tags.md 2)."""

from collections.abc import Iterable, Iterator, Sequence

from cluster.dicom.tag_names import hexadecimal
from cluster.errors import BadDicom, UnknownResource
from cluster.index.requested_tags import Known, requested_tags
from cluster.index.search import Search
from workers.http.dicom_files import tags_of_attachment
from workers.http.services import Services

CANDIDATES_PER_PAGE = 100


def filtered(
    services: Services, search: Search, candidates: Iterable[Sequence[str]], limit: int | None
) -> Iterator[list[str]]:
    """Pages of those candidates whose file fulfils `search.file_tags`; at most `limit` ids altogether.

    Of a patient, study or series one instance is looked at.
    """
    left = limit
    tags = [tag for tag, _ in search.file_tags]
    for page in candidates:
        for start in range(0, len(page), CANDIDATES_PER_PAGE):
            ids = page[start : start + CANDIDATES_PER_PAGE]
            known = requested_tags(services.database, search.level, ids, tags)
            found = [public_id for public_id in ids if public_id in known and _fits(services, search, known[public_id])]
            yield found[:left]
            if left is not None:
                left -= len(found)
                if left <= 0:
                    return


def _fits(services: Services, search: Search, known: Known) -> bool:
    if known.file is None:
        return False
    try:
        elements = tags_of_attachment(services, known.file, tuple(tag for tag, _ in search.file_tags))
    except (UnknownResource, BadDicom):
        return False  # deleted meanwhile, or nothing that can be searched
    for tag, constraint in search.file_tags:
        element = elements.get(hexadecimal(tag), {})
        if element.get("Type") != "String" or not constraint.matches(element["Value"]):
            return False
    return True
