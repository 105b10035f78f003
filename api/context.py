"""What one API process holds, whatever way a request comes in."""

from dataclasses import dataclass

from api.auth import Authenticator
from domain.runtime import Runtime
from domain.usage.recording.service import Recorder


@dataclass(slots=True)
class Serving:
    """One API process: the runtime and what only serving needs. `sockets` counts those that are open."""

    runtime: Runtime
    authenticator: Authenticator
    recorder: Recorder
    sockets: int = 0
