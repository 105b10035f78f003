"""Staff see what became of mail, send it again, and let a customer have it again."""

from domain.adapters.memory import MemoryMailer
from domain.alerts.mail_state import Report, ReportKind
from domain.alerts.mailing import service as mailing
from domain.alerts.port import MailUnavailable
from domain.journal.service import OUTAGE_ATTEMPTS_MAX
from domain.kernel.ids import encode
from tests.api.graphql.site import Site

_MAILS = "query($id: ID!) { mails(customerId: $id) { nodes { id notice state attempts lastError } } }"


async def test_mails_are_shown_with_their_states_and_sent_again(site: Site) -> None:
    ada = await site.world.customer(on="2026-01-31")
    await site.world.subscribe(ada, "pro")
    mailer = site.runtime.mailer
    assert isinstance(mailer, MemoryMailer)
    issued = next(each for each in mailer.sent if each.subject.startswith("Invoice "))
    report = Report("r1", issued.message_id, ReportKind.HARD_BOUNCED, site.runtime.now())
    async with site.runtime.db.transaction() as tx:
        await mailing.note_reports(tx, site.world.call, [report])
    name = encode("customer", ada.id)
    nodes = (await site.read(_MAILS, site.staff(), id=name))["mails"]["nodes"]
    assert {each["notice"]: each["state"] for each in nodes} == {
        "invoice_issued": "BOUNCED",
        "payment_received": "SENT",
    }
    bounced = next(each for each in nodes if each["state"] == "BOUNCED")
    again = await site.change(
        "sendMailAgain", "... on MailQueued { mail { state } }", site.staff("support"), id=bounced["id"]
    )
    assert again["mail"]["state"] == "QUEUED"
    refused = await site.change("sendMailAgain", "", site.staff("support"), id=bounced["id"])
    assert refused["code"] == "mail_not_failed"
    await site.world.drain()
    assert [each.message_id for each in mailer.sent].count(issued.message_id) == 2
    resumed = await site.change("resumeMail", "... on MailResumed { addresses }", site.staff(), customerId=name)
    assert resumed["addresses"] == 1


async def test_a_mail_server_that_never_answers_is_given_up_and_staff_are_told(site: Site) -> None:
    mailer = site.runtime.mailer
    assert isinstance(mailer, MemoryMailer)
    ada = await site.world.customer(on="2026-01-31")
    # The invoice and the payment are mailed, each as often as a job is tried.
    mailer.failures = [MailUnavailable("SMTPConnectError") for _ in range(2 * OUTAGE_ATTEMPTS_MAX)]
    await site.world.subscribe(ada, "pro")
    nodes = (await site.read(_MAILS, site.staff(), id=encode("customer", ada.id)))["mails"]["nodes"]
    assert [(each["state"], each["attempts"], each["lastError"]) for each in nodes] == [
        ("FAILED", OUTAGE_ATTEMPTS_MAX, "SMTPConnectError")
    ] * 2
    alerts = (await site.read("{ staffAlerts { nodes { kind } } }", site.staff()))["staffAlerts"]["nodes"]
    # The mails fail after a day; that they wait was told once before.
    assert alerts == [{"kind": "mail_failed"}, {"kind": "mail_failed"}, {"kind": "job_waits"}]
    assert (await site.read("{ failedJobs { kind } }", site.staff()))["failedJobs"] == []
