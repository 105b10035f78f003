"""The schema, put together from one file per concept. `make schema` writes it to schema.graphql."""

from strawberry.tools import merge_types
from strawberry.types.base import get_object_definition

from api.graphql.alerts import AlertMutation
from api.graphql.approvals import ApprovalMutation
from api.graphql.archiving import ArchivingMutation
from api.graphql.catalogue import CatalogueQuery
from api.graphql.changes import ChangeMutation
from api.graphql.clocks import ClockMutation, ClockQuery
from api.graphql.conservation import ConservationQuery
from api.graphql.consolidation import ConsolidationMutation
from api.graphql.consumption import ConsumptionQuery
from api.graphql.coupons import CouponMutation, CouponQuery
from api.graphql.covering import Errors
from api.graphql.credit_notes import CreditNoteQuery
from api.graphql.customers import CustomerMutation, CustomerQuery
from api.graphql.disputes import DisputeMutation, DisputeQuery
from api.graphql.documents import KnownDocuments
from api.graphql.dunning import DunningQuery
from api.graphql.dunning_desk import DunningDeskMutation
from api.graphql.dunning_policies import DunningPolicyMutation, DunningPolicyQuery
from api.graphql.events import EventMutation, EventQuery
from api.graphql.extending import ExtendingMutation
from api.graphql.grants import GrantMutation, GrantQuery
from api.graphql.headings import HeadingMutation
from api.graphql.inbox import InboxMutation, InboxQuery
from api.graphql.invoices import InvoiceQuery
from api.graphql.invoicing import InvoicingMutation
from api.graphql.journal import JournalMutation, JournalQuery
from api.graphql.keys import KeyMutation, KeyQuery
from api.graphql.leaving import LeavingQuery
from api.graphql.ledger import LedgerQuery
from api.graphql.limits import LimitMutation, LimitQuery
from api.graphql.listing import ListingQuery
from api.graphql.live import Live
from api.graphql.low_balance import LowBalanceMutation
from api.graphql.mails import MailMutation, MailQuery
from api.graphql.method_desk import MethodDeskMutation, MethodDeskQuery
from api.graphql.moving import AnchorMutation, AnchorQuery
from api.graphql.negotiating import CustomVersionMutation, CustomVersionQuery
from api.graphql.one_off_charges import OneOffChargeMutation, OneOffChargeQuery
from api.graphql.owners import name_owners
from api.graphql.pausing import PauseMutation
from api.graphql.paying import PayingMutation
from api.graphql.payment_list import PaymentListQuery
from api.graphql.payments import PaymentMutation
from api.graphql.previews import PreviewQuery
from api.graphql.prices import PriceMutation
from api.graphql.privacy import PrivacyMutation, PrivacyQuery
from api.graphql.profiles import ProfileMutation
from api.graphql.publishing import PublishingMutation, PublishingQuery
from api.graphql.receivables import ReceivablesQuery
from api.graphql.receiving import ReceivingMutation
from api.graphql.reconciliation import ReconciliationMutation, ReconciliationQuery
from api.graphql.redriving import RedriveMutation
from api.graphql.refunds import RefundMutation
from api.graphql.revenue import RevenueMutation, RevenueQuery
from api.graphql.scalars import CONFIG
from api.graphql.sending import SendingMutation, SendingQuery
from api.graphql.showing import UsageQuery
from api.graphql.staff_alerts import StaffAlertMutation, StaffAlertQuery
from api.graphql.starts import StartMutation
from api.graphql.subscription_list import SubscriptionListQuery
from api.graphql.subscriptions import SubscriptionMutation, SubscriptionQuery
from api.graphql.tax_report import TaxReportQuery
from api.graphql.taxes import TaxMutation, TaxQuery
from api.graphql.top_ups import TopUpMutation, TopUpQuery
from api.graphql.unapplied import UnappliedMutation, UnappliedQuery
from api.graphql.unsettled import UnsettledQuery
from api.graphql.usage_batch import UsageBatchMutation
from api.graphql.verify import VerifyQuery
from api.graphql.view import QuietSchema
from api.graphql.wallets import WalletMutation, WalletQuery
from api.graphql.webhook_desk import WebhookDeskMutation
from api.graphql.webhooks import WebhookQuery
from api.graphql.whatif import WhatIfQuery


def _root(name: str, description: str, *parts: type) -> type:
    """Merge the parts that each concept has of a root type."""
    merged = merge_types(name, parts)
    get_object_definition(merged, strict=True).description = description
    return merged


name_owners()
Query = _root(
    "Query",
    "What can be read. A look-up that finds nothing, or what the caller may not see, is null.",
    KeyQuery,
    CatalogueQuery,
    PublishingQuery,
    CustomerQuery,
    SubscriptionQuery,
    LeavingQuery,
    SubscriptionListQuery,
    PreviewQuery,
    AnchorQuery,
    CustomVersionQuery,
    UsageQuery,
    ConsumptionQuery,
    MailQuery,
    LimitQuery,
    EventQuery,
    InvoiceQuery,
    CreditNoteQuery,
    ListingQuery,
    OneOffChargeQuery,
    TaxQuery,
    TaxReportQuery,
    CouponQuery,
    GrantQuery,
    WalletQuery,
    TopUpQuery,
    JournalQuery,
    InboxQuery,
    ReconciliationQuery,
    VerifyQuery,
    ConservationQuery,
    WhatIfQuery,
    LedgerQuery,
    ReceivablesQuery,
    RevenueQuery,
    PaymentListQuery,
    MethodDeskQuery,
    DisputeQuery,
    UnappliedQuery,
    SendingQuery,
    DunningQuery,
    DunningPolicyQuery,
    ClockQuery,
    WebhookQuery,
    StaffAlertQuery,
    PrivacyQuery,
    UnsettledQuery,
)
Mutation = _root(
    "Mutation",
    "What can be changed. Each answers with what happened, or with a Problem that says why it did not.",
    KeyMutation,
    CustomerMutation,
    ProfileMutation,
    TaxMutation,
    SubscriptionMutation,
    StartMutation,
    ChangeMutation,
    PauseMutation,
    AnchorMutation,
    CustomVersionMutation,
    ApprovalMutation,
    PaymentMutation,
    PayingMutation,
    RefundMutation,
    DisputeMutation,
    UnappliedMutation,
    ReceivingMutation,
    MethodDeskMutation,
    CouponMutation,
    DunningDeskMutation,
    DunningPolicyMutation,
    GrantMutation,
    WalletMutation,
    TopUpMutation,
    LowBalanceMutation,
    EventMutation,
    UsageBatchMutation,
    LimitMutation,
    RedriveMutation,
    MailMutation,
    PublishingMutation,
    ArchivingMutation,
    PriceMutation,
    JournalMutation,
    InboxMutation,
    ReconciliationMutation,
    ClockMutation,
    AlertMutation,
    InvoicingMutation,
    ExtendingMutation,
    WebhookDeskMutation,
    StaffAlertMutation,
    HeadingMutation,
    ConsolidationMutation,
    SendingMutation,
    OneOffChargeMutation,
    RevenueMutation,
    PrivacyMutation,
)

schema = QuietSchema(
    query=Query, mutation=Mutation, subscription=Live, config=CONFIG, extensions=[Errors, KnownDocuments]
)
