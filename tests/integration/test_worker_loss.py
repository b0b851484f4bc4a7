"""Workers die in mid-document: nothing is lost, and nothing is reported twice."""

from __future__ import annotations

import pytest

from .conftest import Site, kill

# One after the other: each test starts its own workers, and leases run out when the processor is short.
pytestmark = pytest.mark.xdist_group("queue")

ALL_BROKERS = pytest.mark.parametrize(
    "site",
    [
        "files",
        pytest.param("redis", marks=pytest.mark.services),
        pytest.param("rabbitmq", marks=pytest.mark.services),
    ],
    indirect=True,
)


@ALL_BROKERS
def test_a_child_killed_in_mid_document(site: Site) -> None:
    site.write(victim="sleep 2 victim", a="ok a", b="ok b", c="sleep 0.1 c", d="ok d")
    batch = site.submit()
    site.start_worker()

    kill(site.begun("victim"))

    site.settled(batch)
    site.done_once(batch)
    begun, ended = site.runs("victim")
    assert (len(begun), len(ended)) == (2, 1)
    assert [len(site.runs(name)[1]) for name in "abcd"] == [1, 1, 1, 1]


@ALL_BROKERS
def test_the_whole_worker_killed_in_mid_document(site: Site) -> None:
    site.write(victim="sleep 2 victim", **{f"d{n}": f"ok {n}" for n in range(20)})
    batch = site.submit()
    worker = site.start_worker()

    site.begun("victim")
    kill(worker.pid)
    worker.wait()
    assert site.ledger().progress(batch).state == "open"
    site.start_worker()

    site.settled(batch)
    site.done_once(batch)
    begun, ended = site.runs("victim")
    assert (len(begun), len(ended)) == (2, 1)


@ALL_BROKERS
def test_a_file_that_kills_its_worker_is_quarantined_and_the_rest_completes(site: Site) -> None:
    site.write(poison="crash", twice="crash 1", **{f"d{n}": f"ok {n}" for n in range(8)})
    batch = site.submit()
    site.start_worker()

    rows = site.settled(batch)

    poison = rows.pop("poison")
    assert (poison["state"], poison["error_code"], poison["attempts"]) == ("quarantined", "RUN-034", 2)
    assert len(site.runs("poison")[0]) == 2
    assert {row["state"] for row in rows.values()} == {"done"}
    assert site.ledger().progress(batch).state == "finished"


def test_messages_that_the_broker_lost_are_sent_again(site: Site) -> None:
    site.write(a="ok a", b="ok b")
    batch = site.submit()
    lost = list((site.folder / "home" / "broker" / "messages").iterdir())
    assert len(lost) == 2
    for message in lost:
        message.unlink()

    site.start_worker()

    site.settled(batch)
    site.done_once(batch)


def test_doubled_messages_do_the_work_once(site: Site) -> None:
    site.write(a="sleep 0.5 a", b="sleep 0.5 b")
    batch = site.submit()
    for message in list((site.folder / "home" / "broker" / "messages").iterdir()):
        number, _, rest = message.name.partition("-")
        for copy in range(3):
            (message.parent / f"{int(number) + copy + 1:020d}-{rest}").write_bytes(message.read_bytes())

    site.start_worker()

    site.settled(batch)
    site.done_once(batch)
    assert [len(site.runs(name)[0]) for name in "ab"] == [1, 1]
