"""What a reservation was asked for, so that its id stands for nothing else, and calls whose usage nobody told.

Revision ID: 0055
"""

from migrations import statements

revision = "0055"
down_revision = "0054"
branch_labels = None
depends_on = None

_RESERVATION = """
ALTER TABLE limit_reservation
    ADD COLUMN asked bytea,
    ADD COLUMN cost numeric(38, 18),
    ADD COLUMN metered boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN limit_reservation.asked IS 'digest of the properties that it was asked for with';
COMMENT ON COLUMN limit_reservation.cost IS 'what it may come to at list prices, in their currency';
COMMENT ON COLUMN limit_reservation.metered IS 'of a call that a meter passes on';
"""

_UNSETTLED = """
CREATE TABLE limit_unsettled (
    customer_id uuid NOT NULL,
    id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    expired_at timestamptz NOT NULL,
    found_at timestamptz NOT NULL,
    CONSTRAINT limit_unsettled_pkey PRIMARY KEY (customer_id, id),
    CONSTRAINT limit_unsettled_customer_id_reservation_id_expired_at_key
        UNIQUE (customer_id, reservation_id, expired_at)
);
COMMENT ON TABLE limit_unsettled IS 'metered reservations that were found expired, neither settled nor released';
COMMENT ON COLUMN limit_unsettled.found_at IS 'real time, as expired_at';
CREATE INDEX limit_unsettled_id_idx ON limit_unsettled (id);
CREATE TABLE limit_unsettled_look (
    "only" boolean NOT NULL,
    expires_at timestamptz NOT NULL,
    customer_id uuid NOT NULL,
    reservation_id uuid NOT NULL,
    CONSTRAINT limit_unsettled_look_pkey PRIMARY KEY ("only"),
    CONSTRAINT limit_unsettled_look_only_check CHECK ("only")
);
COMMENT ON TABLE limit_unsettled_look IS 'the expired reservation up to which all were looked at, in this order';
"""


def upgrade() -> None:
    """Add the columns and the tables."""
    statements.run(_RESERVATION)
    statements.run(_UNSETTLED)
