"""Credits and entitlements, as far as they are thresholds: `domain/limits/thresholds.py`."""

from api.conformance.case import Area
from api.conformance.limits import alert_crossings, usage_thresholds, usage_value_thresholds

AREA = Area(
    {
        "usage_thresholds": usage_thresholds,
        "usage_value_thresholds": usage_value_thresholds,
        "alert_crossings": alert_crossings,
    }
)
