"""Which version of its plan a start that was scheduled pins once it begins. Pure rules."""

from domain.kernel.ids import CustomerId
from domain.plans.plan import Catalogue, PlanVersion, PriceNotFound
from domain.subscriptions.upcoming.scheduled_start import Terms


def version_at_start(catalogue: Catalogue, customer_id: CustomerId, terms: Terms) -> PlanVersion:
    """Return the version that was shown when the start was asked for, or one that has taken its place since.

    A newer one takes its place where it is the customer's own, or where it moves existing subscriptions too, and where
    it is sold as was asked for. A published version is never edited, so the one that was shown can always be pinned.
    """
    shown = catalogue.version(terms.plan_version_id)
    newest = catalogue.current_version_of(shown.plan_id, customer_id)
    if newest.number <= shown.number or not (newest.customer_id or newest.existing == "move_at_renewal"):
        return shown
    try:
        catalogue.fee_price(newest.id, terms.interval, terms.currency)
    except PriceNotFound:
        return shown
    return newest
