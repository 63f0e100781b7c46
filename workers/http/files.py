"""GET /instances/{id}/file (interop/rest.md 4; ranges: `ranges.py`)."""

from starlette.requests import Request
from starlette.responses import Response

from cluster.index.attachments import Compression, dicom_attachment
from workers.archives.content import pieces
from workers.http.answers import PooledStream
from workers.http.described import gives, takes
from workers.http.parameters import refuse_unserved
from workers.http.ranges import wanted_range
from workers.http.services import Services


@takes({"transcode": "Not served (501).", "lossy-quality": "Not served (501)."})
@gives("application/dicom")
def get_file(services: Services, request: Request) -> Response:
    """The DICOM file of an instance, or one range of it."""
    services.require_ready()
    refuse_unserved(request, ("transcode", "lossy-quality"))
    instance = request.path_params["id"]
    attachment = dicom_attachment(services.database, instance)
    headers = {"Content-Disposition": f'filename="{instance}.dcm"', "Content-Length": str(attachment.size)}
    status, start, stop = 200, 0, attachment.size
    if attachment.compression == Compression.NONE:
        headers["Accept-Ranges"] = "bytes"
        wanted = wanted_range(request, attachment.size)
        if wanted is not None:
            status, (start, stop) = 206, wanted
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{attachment.size}"
            headers["Content-Length"] = str(stop - start)
    file = services.storage.open(attachment.uuid)
    try:
        return PooledStream.begun(
            services.reads,
            pieces(file, attachment, start, stop),
            status=status,
            headers=headers,
            media_type="application/dicom",
            close=file.close,
        )
    except BaseException:
        file.close()
        raise
