"""What a process holds while it lives: the database, the outside parties, and what it remembers of the catalogue."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from domain.access.port import TokenVerifier
from domain.access.service import Hs256Verifier
from domain.adapters import clock
from domain.adapters.late import LateVerifier, LateWakeups
from domain.adapters.smtp import SmtpMailer
from domain.adapters.stripe import StripeGateway
from domain.adapters.stripe_tax import StripeTax
from domain.adapters.typst_pdf import TypstRenderer
from domain.adapters.webhook_sender import HttpWebhookSender
from domain.alerts import unsubscribing
from domain.alerts.port import Mailer, MailPolicy
from domain.config import Settings, check_serving
from domain.db import Database
from domain.invoices.documents import link as links
from domain.invoices.documents.port import Renderer
from domain.invoices.taxing.port import TaxCalculator
from domain.kernel.call import Call, Principal
from domain.kernel.values import dataclass
from domain.payments.port import PaymentGateway
from domain.plans import service as plans
from domain.plans.plan import Catalogue
from domain.plans.provider_price import PriceBook
from domain.privacy import link as export_links
from domain.usage.port import Wakeups
from domain.vault import Vault
from domain.webhooks.port import WebhookSender

# How long a process sells from the catalogue it has read before it asks whether it changed.
CATALOGUE_CHECKED_EVERY = timedelta(seconds=1)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(slots=True)
class Runtime:
    """One per process; opened at its start and closed at its end."""

    settings: Settings
    db: Database
    gateway: PaymentGateway
    mailer: Mailer
    wakeups: Wakeups
    verifier: TokenVerifier
    tax: TaxCalculator
    renderer: Renderer
    sender: WebhookSender
    # Returns the present real instant.
    now: Callable[[], datetime] = clock.now
    _catalogue: Catalogue | None = None
    _price_book: PriceBook | None = None
    _checked_at: datetime | None = None
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def call(self, principal: Principal, at: datetime | None = None) -> Call:
        """Start a call now; `at` where the clock was looked at for it already."""
        started_at = self.now() if at is None else at
        return Call(clock.new_id_at(started_at), started_at, principal, clock.new_id)

    @property
    def webhook_secrets(self) -> tuple[str, ...]:
        """The secrets that inbound events may be signed with: the present one and, while it rolls, the one before."""
        return self.settings.stripe_webhook_secret

    @property
    def link_keys(self) -> Sequence[bytes]:
        """The key that links to documents are signed with, then others that they may have been signed with."""
        return [links.signing_key(each) for each in self.settings.master_keys()]

    @property
    def export_keys(self) -> Sequence[bytes]:
        """The same for links to exports."""
        return [export_links.signing_key(each) for each in self.settings.master_keys()]

    @property
    def unsubscribe_keys(self) -> Sequence[bytes]:
        """The same for links which stop mails."""
        return [unsubscribing.signing_key(each) for each in self.settings.master_keys()]

    async def catalogue(self) -> Catalogue:
        """Return what is sold, at most CATALOGUE_CHECKED_EVERY old."""
        async with self._reading:
            now = self.now()
            if self._catalogue is None or self._checked_at is None or now - self._checked_at > CATALOGUE_CHECKED_EVERY:
                await self._read(now)
            assert self._catalogue is not None, "it was just read"
            return self._catalogue

    def forget_catalogue(self) -> None:
        """Have what is sold looked at anew by whoever asks next: this process has just changed it."""
        self._checked_at = None

    async def price_book(self) -> PriceBook:
        """Return the provider price list, as old as the catalogue at most."""
        catalogue = await self.catalogue()
        async with self._reading:
            if self._price_book is None or self._price_book.fingerprint != catalogue.fingerprint:
                async with self.db.transaction() as tx:
                    self._price_book = await plans.load_price_book(tx)
            return self._price_book

    async def _read(self, now: datetime) -> None:
        async with self.db.transaction() as tx:
            if self._catalogue is None or await plans.catalogue_fingerprint(tx) != self._catalogue.fingerprint:
                self._catalogue = await plans.load_catalogue(tx)
        self._checked_at = now

    async def close(self) -> None:
        """Let go of everything that was opened."""
        await self.wakeups.close()
        await self.sender.close()
        await self.tax.close()
        await self.gateway.close()
        await self.db.close()


async def open_runtime(settings: Settings) -> Runtime:
    """Open what a process needs; nothing is connected before it is used. Raises SettingMissing, SettingRefused."""
    check_serving(settings)
    verifier: TokenVerifier = (
        Hs256Verifier(settings.hs256_secret, settings.token_issuer)
        if settings.hs256_secret
        else LateVerifier(settings.jwks_url, settings.token_issuer)
    )
    gateway = StripeGateway(
        settings.stripe_secret_key,
        api_base=settings.stripe_api_base or None,
        calls_per_s=settings.stripe_calls_per_s,
    )
    return Runtime(
        settings=settings,
        db=Database(
            settings.database_url,
            Vault(*settings.master_keys()),
            pool_size=settings.pool_size,
            pooled=settings.pooled,
        ),
        gateway=gateway,
        mailer=SmtpMailer(settings.smtp_url, _mail_policy(settings)),
        wakeups=LateWakeups(settings.live_redis_url or settings.redis_url),
        verifier=verifier,
        tax=StripeTax(gateway),
        renderer=TypstRenderer(),
        sender=HttpWebhookSender(dev=settings.dev),
    )


def _mail_policy(settings: Settings) -> MailPolicy:
    """In development a server on this machine is the catcher; elsewhere test customers are mailed by an allow-list."""
    return MailPolicy(
        sender=settings.mail_from,
        merchant=settings.merchant_name,
        is_catcher=settings.dev and urlsplit(settings.smtp_url).hostname in _LOOPBACK,
        unsubscribing=unsubscribing.Unsubscribing(
            settings.public_url, unsubscribing.signing_key(settings.master_keys()[0])
        ),
        test_allowed=frozenset(address.casefold() for address in settings.mail_test_allow),
    )
