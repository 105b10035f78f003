"""Rows that wait: deliveries of events to webhook endpoints, and timers of things that happen later."""

from dataclasses import dataclass

from sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint; `tries` counts those already made."""

    seq: int
    event: str
    endpoint: str
    tries: int


@dataclass(frozen=True, slots=True)
class Seen:
    """A delivery in whatever state (pending, delivered, failed, dropped), to be looked at; `type` is its event's."""

    seq: int
    event: str
    type: str | None
    endpoint: str
    tries: int
    state: str
    due_at: float


@dataclass(frozen=True, slots=True)
class Timer:
    """An action of `timers.py` on the document `target`, once its time has come."""

    seq: int
    action: str
    target: str


def add_delivery(store: Store, event: str, endpoint: str, due_at: float) -> None:
    """Queue one delivery."""
    store.sql.execute(
        "INSERT INTO delivery (event, endpoint, tries, due_at, state) VALUES (?, ?, 0, ?, 'pending')",
        (event, endpoint, due_at),
    )


def due_deliveries(store: Store, now: float, limit: int) -> list[Delivery]:
    """Read deliveries that are due, oldest first."""
    rows = store.sql.execute(
        "SELECT seq, event, endpoint, tries FROM delivery WHERE state = 'pending' AND due_at <= ? ORDER BY seq LIMIT ?",
        (now, limit),
    )
    return [Delivery(*row) for row in rows]


def list_deliveries(store: Store, below: int, limit: int) -> list[Seen]:
    """Read deliveries of every state, newest first, those numbered under `below`."""
    rows = store.sql.execute(
        "SELECT delivery.seq, event, document.filed_under, endpoint, tries, state, due_at FROM delivery "
        "LEFT JOIN document ON document.id = event WHERE delivery.seq < ? ORDER BY delivery.seq DESC LIMIT ?",
        (below, limit),
    )
    return [Seen(*row) for row in rows]


def close_delivery(store: Store, delivery: Delivery, state: str) -> None:
    """End a delivery as delivered, failed or dropped."""
    store.sql.execute(
        "UPDATE delivery SET state = ?, tries = tries + 1 WHERE seq = ?",
        (state, delivery.seq),
    )


def postpone_delivery(store: Store, delivery: Delivery, due_at: float) -> None:
    """Count a failed try and wait for the next."""
    store.sql.execute("UPDATE delivery SET tries = tries + 1, due_at = ? WHERE seq = ?", (due_at, delivery.seq))


def pending_deliveries(store: Store, event: str | None = None) -> int:
    """Count deliveries that are still to be made, of one event or of all."""
    if event is None:
        row = store.sql.execute("SELECT count(*) FROM delivery WHERE state = 'pending'").fetchone()
    else:
        row = store.sql.execute(
            "SELECT count(*) FROM delivery WHERE event = ? AND state = 'pending'",
            (event,),
        ).fetchone()
    return int(row[0])


def add_timer(store: Store, action: str, target: str, due_at: float) -> None:
    """Plan an action."""
    store.sql.execute("INSERT INTO timer (action, target, due_at) VALUES (?, ?, ?)", (action, target, due_at))


def due_timers(store: Store, now: float, limit: int) -> list[Timer]:
    """Read timers whose time has come, in the order of that time."""
    rows = store.sql.execute(
        "SELECT seq, action, target FROM timer WHERE due_at <= ? ORDER BY due_at, seq LIMIT ?",
        (now, limit),
    )
    return [Timer(*row) for row in rows]


def remove_timers(store: Store, target: str) -> None:
    """Forget whatever was planned for a document."""
    store.sql.execute("DELETE FROM timer WHERE target = ?", (target,))


def next_due(store: Store, *, deliveries: bool) -> float | None:
    """Give the earliest due time of a timer, or of a delivery too; None when nothing waits."""
    moments = [store.sql.execute("SELECT min(due_at) FROM timer").fetchone()[0]]
    if deliveries:
        moments.append(store.sql.execute("SELECT min(due_at) FROM delivery WHERE state = 'pending'").fetchone()[0])
    known = [float(moment) for moment in moments if moment is not None]
    return min(known, default=None)
