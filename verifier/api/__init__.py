"""The HTTP API: FastAPI under `/api/v1`, made from the tables of `verifier.routes`.

    request ──▶ watching ──▶ edge ──▶ endpoints, streams, probes ──▶ routes ──▶ the desk

`watching`   ids, counts and one line in the log for every request.
`edge`       who may come in, and how a problem looks.
`reading`    what a request says: body, headers, parameters.
`endpoints`  questions, commands, batches, the bytes of evidence.
`streams`    the feed and the events.
`probes`     alive, ready, metrics.
`schema`     the OpenAPI document.

Nothing below this package knows HTTP.
"""

from verifier.api.build import build

__all__ = ["build"]
