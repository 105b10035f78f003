"""`tollgate mail preview` renders every mail there is, in every language there is."""

from pathlib import Path

from typer.testing import CliRunner

from api.cli import app
from domain.alerts.notice import LEGAL, Notice


def test_every_mail_is_written_as_text_and_html_in_each_language(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["mail", "preview", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    ways = [(language, kind) for language in ("de", "en") for kind in ("txt", "html")]
    expected = {f"{notice.value}.{language}.{kind}" for notice in Notice for language, kind in ways}
    assert {file.name for file in tmp_path.iterdir()} == expected | {"index.html"}
    assert "Zahlung der Rechnung 2026-000042 fehlgeschlagen" in (tmp_path / "payment_failed.de.txt").read_text("utf-8")
    assert "Visa ending in 4242" in (tmp_path / "payment_failed.en.html").read_text("utf-8")
    invoice = (tmp_path / "invoice_issued.de.txt").read_text("utf-8")
    assert "hier ist Ihre Rechnung 2026-000042 vom 28.02.2026." in invoice
    assert "Gesamtbetrag: 104,03\xa0$" in invoice
    assert all("Hello" not in file.read_text("utf-8") for file in tmp_path.glob("*.de.*"))
    restricted = (tmp_path / "access_restricted.en.txt").read_text("utf-8")
    assert "Until it is paid you can use what the free plan allows" in restricted
    over = (tmp_path / "grace_countdown.en.txt").read_text("utf-8")
    assert "5,250 calls of 5,000 calls (105%)" in over
    assert "Until then more is tolerated." in over
    # Nothing is owed for a top-up that failed.
    assert "https://" not in (tmp_path / "top_up_failed.en.txt").read_text("utf-8")
    page = (tmp_path / "index.html").read_text("utf-8")
    assert '<a href="payment_failed.de.html">html</a>' in page


def test_a_mail_says_how_to_do_without_it_exactly_where_that_is_possible(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["mail", "preview", "--out", str(tmp_path)]).exit_code == 0
    hints = {"en": "unsubscribe from this", "de": "abbestellen"}
    saying = {file.name for file in tmp_path.glob("*.*.*") if hints[file.name.split(".")[1]] in file.read_text("utf-8")}
    assert saying == {
        f"{notice.value}.{language}.{kind}"
        for notice in Notice
        if notice not in LEGAL
        for language in hints
        for kind in ("txt", "html")
    }


def test_one_mail_is_written_by_its_name_and_an_unknown_one_refused(tmp_path: Path) -> None:
    one = CliRunner().invoke(app, ["mail", "preview", "trial_ending", "--out", str(tmp_path / "one")])
    assert (one.exit_code, one.output.splitlines()[0]) == (0, str(tmp_path / "one" / "trial_ending.en.txt"))
    other = CliRunner().invoke(app, ["mail", "preview", "no_such_mail", "--out", str(tmp_path / "two")])
    assert (other.exit_code, (tmp_path / "two").exists()) == (2, False)
