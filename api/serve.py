"""`tollgate serve`: the API process. It imports nothing beside what it serves with, and that only once it may serve."""

import asyncio

from domain.adapters.loading import lean_loading
from domain.config import Settings, check_serving, read_settings

# One message on a socket; a subscription document and its variables are far below.
SOCKET_MESSAGE_BYTES_MAX = 1_000_000
GRACE_S = 10
# What stands between gives an idle connection up after a minute, as a rule; a client that is gone is found out by that.
PING_EVERY_S = 45
PONG_WITHIN_S = 20
BACKLOG = 2_048


def serve() -> None:
    """Serve the API with the settings of the environment until a signal ends the process.

    Raises SettingMissing, SettingRefused, LocalStackError, DatabaseOlder.
    """
    settings = read_settings()
    check_serving(settings)
    with lean_loading():
        import uvicorn  # noqa: PLC0415 -- loaded once the settings are known to be good

        from api.app import create_app  # noqa: PLC0415 -- the same
        from api.at_once import protocol_of  # noqa: PLC0415 -- the same
        from api.direct import DirectProtocol  # noqa: PLC0415 -- the same
        from api.local.ports import check_listening, claim_api_port  # noqa: PLC0415 -- the same
        from domain.adapters.log import set_up_logging  # noqa: PLC0415 -- the same

        claim_api_port(settings.port)
        check_listening(settings.host, settings.port)
        asyncio.run(_check_opening(settings))
        set_up_logging()
        app = create_app(settings)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=protocol_of(app.state.at_once),
        ws=DirectProtocol,
        ws_max_size=SOCKET_MESSAGE_BYTES_MAX,
        ws_ping_interval=PING_EVERY_S,
        ws_ping_timeout=PONG_WITHIN_S,
        # A frame is encoded once for all sockets; compressed, it would be worked on anew for each.
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=GRACE_S,
    )


async def _check_opening(settings: Settings) -> None:
    """Open once what will be opened, while a refusal can be told in a line.

    Raises SettingMissing, SettingRefused, StripeKeyMalformed, SmtpUrlMalformed, DatabaseOlder.
    """
    from domain.runtime import open_runtime  # noqa: PLC0415 -- as in `serve`
    from migrations.expecting import check_start  # noqa: PLC0415 -- the same

    runtime = await open_runtime(settings)
    try:
        await check_start(runtime.db)
    finally:
        await runtime.close()
