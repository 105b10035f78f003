"""Files of exports, by a signed link: whoever has one fetches everything of one customer, part by part."""

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from domain.access.roles import system_principal
from domain.kernel.ids import decode, encode
from domain.privacy.exporting import service as exporting


async def get_export(request: Request) -> Response:
    """Answer with the file that a link was signed for, to whoever has the link, until it expires. Audited."""
    runtime = request.app.state.runtime
    export_id = decode("export", request.path_params["id"])
    query, call = request.query_params, runtime.call(system_principal("export_link"))
    async with runtime.db.transaction() as tx:
        found = await exporting.open_file(
            tx,
            runtime.export_keys,
            call,
            export_id,
            expires=query.get("expires", ""),
            signature=query.get("signature", ""),
            # A look at the headers alone hands nothing out.
            is_fetched=request.method != "HEAD",
        )
    name = f"{encode('customer', found.customer_id)}.jsonl"
    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="{name}"',
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    return StreamingResponse(exporting.parts(runtime.db, found), headers=headers, media_type="application/x-ndjson")


EXPORTS = (Route("/exports/{id}", get_export, methods=["GET"]),)
