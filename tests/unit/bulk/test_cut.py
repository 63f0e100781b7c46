"""How what was found is cut into chunks."""

from cluster.bulk.entries import ImportFile, Refusal
from cluster.bulk.files import MAXIMUM_CHUNK_BYTES, MAXIMUM_CHUNK_FILES, Chunk, Found, cut


def files(count: int, size: int = 1) -> list[Found]:
    return [(ImportFile(f"/{number}"), size) for number in range(count)]


def test_a_chunk_has_so_many_files() -> None:
    chunks = list(cut(files(2 * MAXIMUM_CHUNK_FILES + 1)))

    assert [len(chunk.files) for chunk in chunks] == [MAXIMUM_CHUNK_FILES, MAXIMUM_CHUNK_FILES, 1]
    assert [file.path for chunk in chunks for file in chunk.files] == [f"/{n}" for n in range(101)]


def test_a_chunk_has_so_many_bytes_and_a_large_file_is_alone() -> None:
    half = MAXIMUM_CHUNK_BYTES // 2
    chunks = list(cut([*files(3, half), *files(1, 10 * MAXIMUM_CHUNK_BYTES), *files(1, 1)]))

    assert [len(chunk.files) for chunk in chunks] == [2, 1, 1, 1]


def test_refusals_have_chunks_of_their_own() -> None:
    refusal = Refusal(ImportFile("/x"), "failed", "why")

    chunks = list(cut([*files(1), refusal, *files(1)]))

    assert [(len(chunk.files), len(chunk.refusals)) for chunk in chunks] == [(2, 0), (0, 1)]
    assert chunks[1] == Chunk(refusals=(refusal,))


def test_nothing_is_no_chunk() -> None:
    assert list(cut([])) == []
