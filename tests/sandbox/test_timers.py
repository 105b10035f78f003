"""What happens later by itself."""

from pathlib import Path

from sandbox import timers, waiting
from sandbox.refunds import SETTLE_REFUND
from sandbox.store import Store


def test_a_timer_that_fails_holds_up_no_other_and_does_not_come_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    refund = {"id": "re_1", "object": "refund", "status": "pending", "destination_details": {"type": "bank"}}
    with store.transaction():
        store.put({"id": "ch_1", "object": "charge"})
        store.put(refund)
        # Left by another version, or by a fault of ours: nobody knows the action.
        waiting.add_timer(store, "invented", "ch_1", 1.0)
        # Settled meanwhile by hand: it does not apply any more.
        waiting.add_timer(store, SETTLE_REFUND, "re_2", 2.0)
        waiting.add_timer(store, SETTLE_REFUND, "re_1", 3.0)
        store.put(refund | {"id": "re_2", "status": "succeeded"})
    assert timers.run_due(store, 2.5) == 2
    assert timers.run_due(store, 3.0) == 1
    found = store.find("re_1")
    assert found is not None
    assert found["status"] == "succeeded"
    assert waiting.next_due(store, deliveries=False) is None
    store.close()
