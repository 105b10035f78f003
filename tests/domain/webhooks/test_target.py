"""Where events may be sent: to public https addresses, and nowhere inside."""

import pytest

from domain.webhooks.target import Target, TargetRefused, check_address, target_of

_PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"]
_CLOSED = [
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104 -- nothing is bound to it
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "2001:0:1::1",
    "2001:db8::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", _PUBLIC)
def test_a_public_address_may_be_called(address: str) -> None:
    check_address(address, dev=False)


@pytest.mark.parametrize("address", _CLOSED)
def test_an_address_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(TargetRefused):
        check_address(address, dev=False)


def test_development_reaches_this_machine_and_nothing_else_inside() -> None:
    check_address("127.0.0.1", dev=True)
    check_address("::1", dev=True)
    for address in ("10.0.0.1", "169.254.169.254", "fd00::1"):
        with pytest.raises(TargetRefused):
            check_address(address, dev=True)


def test_a_url_is_taken_apart() -> None:
    assert target_of("https://hooks.example.com/in?x=1", dev=False) == Target(
        "https://hooks.example.com/in?x=1", "hooks.example.com", 443, is_tls=True
    )
    assert target_of("http://localhost:9000/", dev=True) == Target(
        "http://localhost:9000/", "localhost", 9000, is_tls=False
    )


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.com",
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://",
        "https://user:secret@hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://hooks.example.com/#part",
        "https://hooks.example.com:99999/",
        "https://[::1/",
        "https://hooks.example.com/a b",
        "https://hooks.exämple.com/",
        "https://hooks.example.com/\n",
        "https://localhost/",
        "https://intranet/",
        "https://127.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://hooks.example.com/" + "x" * 2_048,
    ],
)
def test_a_url_that_could_lead_inside_or_is_malformed_is_refused(url: str) -> None:
    with pytest.raises(TargetRefused):
        target_of(url, dev=False)
