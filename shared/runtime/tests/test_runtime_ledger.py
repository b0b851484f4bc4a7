"""The ledger: single operations, then any order of them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from sqlalchemy import delete, text, update
from sqlalchemy.exc import DBAPIError

from doyen_runtime.ledger import Claim, Ledger, Submission, Work, item_key, pack
from doyen_runtime.tables import audit, open_engine, schema
from doyen_schemas import DoyenError

WORK = Work("testkit", "0.1.0", "1", "a" * 64, {"side": "buyer"})
LEASE = 10.0
ATTEMPTS = 3


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    ledger = Ledger(f"sqlite:///{tmp_path}/l.db", lease_seconds=LEASE, max_attempts=ATTEMPTS, clock=clock)
    yield ledger
    ledger.close()


def submission(name: str) -> Submission:
    return Submission(f"/docs/{name}.txt", name.rjust(64, "0"), 10, 1.0)


def claimed(ledger: Ledger, batch: str, shard: int = 0) -> Claim:
    claim = ledger.claim(batch, shard, "worker")
    assert claim is not None
    return claim


def test_key_depends_on_everything_the_report_depends_on() -> None:
    keys = {
        item_key("1", WORK),
        item_key("2", WORK),
        item_key("1", Work("other", "0.1.0", "1", "a" * 64, {"side": "buyer"})),
        item_key("1", Work("testkit", "0.1.0", "2", "a" * 64, {"side": "buyer"})),
        item_key("1", Work("testkit", "0.1.0", "1", "b" * 64, {"side": "buyer"})),
        item_key("1", Work("testkit", "0.1.0", "1", "a" * 64, {"side": "seller"})),
    }
    assert len(keys) == 6
    same = Work("testkit", "0.2.0", "1", "a" * 64, dict(side="buyer"))
    assert item_key("1", same) == item_key("1", WORK)


def test_a_claim_is_exclusive_and_completes_once(ledger: Ledger) -> None:
    batch = ledger.submit(WORK, [[submission("a")]])
    claim = claimed(ledger, batch)
    assert ledger.claim(batch, 0, "other") is None
    assert ledger.complete(claim, pack({"n": 1}), 0.5)
    assert not ledger.complete(claim, pack({"n": 2}), 0.5)
    assert ledger.report(claim.key) == {"n": 1}
    progress = ledger.progress(batch)
    assert (progress.state, progress.counts["done"], progress.settled) == ("finished", 1, 1)


def test_the_first_success_wins_even_after_its_lease(ledger: Ledger, clock: Clock) -> None:
    batch = ledger.submit(WORK, [[submission("a")]])
    slow = claimed(ledger, batch)
    clock.now += LEASE
    assert ledger.sweep().requeued == 1
    quick = claimed(ledger, batch)
    assert ledger.complete(slow, pack({"by": "slow"}), 1.0)
    assert not ledger.complete(quick, pack({"by": "quick"}), 1.0)
    assert ledger.fail(quick, "RUN-033", "late", final=True) is None
    assert ledger.report(slow.key) == {"by": "slow"}


def test_a_heartbeat_keeps_the_lease_and_learns_of_its_loss(ledger: Ledger, clock: Clock) -> None:
    batch = ledger.submit(WORK, [[submission("a")]])
    claim = claimed(ledger, batch)
    for _ in range(5):
        clock.now += LEASE - 1
        assert ledger.heartbeat(claim)
        assert ledger.sweep().requeued == 0
    clock.now += LEASE
    ledger.sweep()
    assert not ledger.heartbeat(claim)


def test_attempts_are_spent_before_the_work(ledger: Ledger, clock: Clock) -> None:
    batch = ledger.submit(WORK, [[submission("a")]])
    for attempt in range(1, ATTEMPTS + 1):
        assert claimed(ledger, batch).attempt == attempt
        clock.now += LEASE
        swept = ledger.sweep()
        assert (swept.requeued, swept.quarantined) == ((1, 0) if attempt < ATTEMPTS else (0, 1))
    assert ledger.claim(batch, 0, "worker") is None
    [row] = ledger.documents(batch)
    assert (row["state"], row["error_code"]) == ("quarantined", "RUN-034")
    assert ledger.progress(batch).state == "finished"
    assert [entry["decision"] for entry in ledger.audit_log(batch)] == ["1 documents", "quarantined RUN-034"]


def test_a_lower_cap_quarantines_at_the_next_claim(ledger: Ledger) -> None:
    batch = ledger.submit(WORK, [[submission("a")]])
    assert ledger.fail(claimed(ledger, batch), "RUN-033", "unexpected", final=False) == "queued"
    ledger.max_attempts = 1
    assert ledger.claim(batch, 0, "worker") is None
    [row] = ledger.documents(batch)
    assert (row["state"], row["error_code"]) == ("quarantined", "RUN-033")


def test_a_failed_attempt_goes_last_and_a_final_one_stays(ledger: Ledger) -> None:
    batch = ledger.submit(WORK, [[submission("a"), submission("b")]])
    first = claimed(ledger, batch)
    assert ledger.fail(first, "RUN-033", "unexpected", final=False) == "queued"
    second = claimed(ledger, batch)
    assert second.key != first.key
    assert ledger.fail(second, "DOC-001", "bad", final=True) == "failed"
    assert claimed(ledger, batch).key == first.key


def test_expired_items_are_rung_at_once_and_others_after_a_while(ledger: Ledger, clock: Clock) -> None:
    batch = ledger.submit(WORK, [[submission("a")], [submission("b")]])
    assert ledger.waiting("testkit").unrung == [(batch, 0), (batch, 1)]
    assert ledger.waiting("other").unrung == []
    ledger.rung([(batch, 0), (batch, 1)])
    waiting = ledger.waiting(ring_again_seconds=30)
    assert (waiting.unrung, waiting.stale) == ([], [])
    claimed(ledger, batch, 0)
    clock.now += 31
    ledger.sweep()
    waiting = ledger.waiting(ring_again_seconds=30)
    assert (waiting.unrung, waiting.stale) == ([(batch, 0)], [(batch, 1)])


def test_the_same_work_in_two_batches_is_done_once(ledger: Ledger) -> None:
    first = ledger.submit(WORK, [[submission("a")]])
    second = ledger.submit(WORK, [[submission("a")], [submission("b")]])
    claim = claimed(ledger, first)
    assert ledger.claim(second, 0, "worker") is None, "it runs for the other batch"
    ledger.complete(claim, pack({}), 1.0)
    assert ledger.sweep().reused == 1
    assert ledger.progress(second).counts["done"] == 1
    third = ledger.submit(WORK, [[submission("a")]])
    assert ledger.progress(third).state == "finished"


def test_cancel_and_retry(ledger: Ledger, clock: Clock) -> None:
    batch = ledger.submit(WORK, [[submission("a"), submission("b"), submission("c")]])
    running = claimed(ledger, batch)
    assert ledger.cancel(batch) == 2
    assert ledger.cancel(batch) == 0
    assert ledger.claim(batch, 0, "worker") is None
    clock.now += LEASE
    assert ledger.sweep().cancelled == 1
    assert not ledger.complete(running, pack({}), 1.0)

    other = ledger.submit(WORK, [[submission("x")], [submission("y")]])
    ledger.rung([(other, 0), (other, 1)])
    ledger.fail(claimed(ledger, other, 0), "DOC-001", "bad", final=True)
    ledger.complete(claimed(ledger, other, 1), pack({}), 1.0)
    assert ledger.progress(other).state == "finished"
    assert ledger.retry(other) == 1
    assert ledger.progress(other).state == "open"
    assert ledger.waiting().unrung == [(other, 0)]
    assert claimed(ledger, other, 0).attempt == 1


def test_purging_keeps_what_others_need_and_the_audit_log(ledger: Ledger, clock: Clock) -> None:
    old = ledger.submit(WORK, [[submission("a"), submission("b")]])
    a, b = claimed(ledger, old), claimed(ledger, old)
    ledger.complete(a, pack({}), 1.0)
    ledger.complete(b, pack({}), 1.0)
    clock.now += 86400 * 2
    new = ledger.submit(WORK, [[submission("b"), submission("c")]])
    with pytest.raises(DoyenError) as raised:
        ledger.purge(batch_id=new)
    assert raised.value.code == "RUN-028"
    assert ledger.purge(older_than_days=3) == 0
    assert ledger.sweep(retention_days=1).purged == 1
    assert ledger.report(a.key) is None
    assert ledger.report(b.key) == {}
    assert [entry["action"] for entry in ledger.audit_log(old)] == ["submit", "review", "review", "purge"]


@pytest.mark.parametrize("statement", [update(audit).values(actor="me"), delete(audit)])
def test_the_audit_log_can_only_grow(ledger: Ledger, statement: object) -> None:
    ledger.submit(WORK, [[submission("a")]])
    with pytest.raises(DBAPIError, match="append-only"), ledger.engine.begin() as connection:
        connection.execute(statement)  # type: ignore[call-overload]


def test_unknown_batches_and_ledgers_that_cannot_be_used(ledger: Ledger, tmp_path: Path) -> None:
    for call in (ledger.progress, ledger.cancel, ledger.retry, lambda b: list(ledger.documents(b))):
        with pytest.raises(DoyenError) as raised:
            call("nothing")
        assert raised.value.code == "RUN-022"
    (tmp_path / "file").write_text("not a database, but long enough to be taken for one" * 40)
    for url in (f"sqlite:///{tmp_path}/file", "no url", "postgresql+psycopg://x:secret@127.0.0.1:1/none"):
        with pytest.raises(DoyenError) as raised:
            open_engine(url)
        assert raised.value.code == "RUN-020"
        assert "secret" not in str(raised.value)
    with ledger.engine.begin() as connection:
        connection.execute(update(schema).values(version=99))
    with pytest.raises(DoyenError) as raised:
        open_engine(f"sqlite:///{tmp_path}/l.db")
    assert raised.value.code == "RUN-021"


def test_the_file_is_private_and_safe(ledger: Ledger, tmp_path: Path) -> None:
    assert (tmp_path / "l.db").stat().st_mode & 0o777 == 0o600
    with ledger.engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "secure_delete")
        }
    assert pragmas == {"journal_mode": "wal", "secure_delete": 1}


def test_a_second_ledger_in_one_process_does_not_blind_the_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/l.db"
    first = Ledger(url)
    batch = first.submit(WORK, [[submission("a")]])
    second = Ledger(url)  # must not drop the first one's locks on the file
    code = (
        f"from doyen_runtime.ledger import Ledger, pack\nledger = Ledger({url!r})\n"
        f"claim = ledger.claim({batch!r}, 0, 'w')\nledger.complete(claim, pack({{}}), 1.0)\nledger.close()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "l.db-wal").exists(), "the other process took itself for the last one"
    assert first.progress(batch).state == second.progress(batch).state == "finished"
    first.close()
    second.close()


def test_work_that_another_batch_has_done_meanwhile_is_not_given_out_again(tmp_path: Path) -> None:
    clock = Clock()
    ledger = Ledger(f"sqlite:///{tmp_path}/l.db", lease_seconds=LEASE, max_attempts=2, clock=clock)
    first, second = (ledger.submit(WORK, [[submission("a")]]) for _ in range(2))
    assert ledger.claim(first, 0, "dies") is not None
    clock.now += LEASE
    claim = ledger.claim(second, 0, "w")
    assert claim is not None
    assert ledger.complete(claim, pack({}), 1.0)
    assert ledger.claim(first, 0, "w") is None
    assert ledger.progress(first).state == ledger.progress(second).state == "finished"
    ledger.close()


class AnyOrder(RuleBasedStateMachine):
    """Claims, successes, failures, crashes, sweeps, retries and cancellations in any order."""

    batches = Bundle("batches")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        # In memory where there is such a folder: every step waits for the disk otherwise.
        self.folder = tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.clock = Clock()
        self.ledger = Ledger(
            f"sqlite:///{self.folder}/l.db", lease_seconds=LEASE, max_attempts=2, clock=self.clock
        )
        self.ids: list[str] = []
        self.reports: dict[str, dict[str, str]] = {}
        self.serial = 0

    def teardown(self) -> None:
        self.ledger.close()
        shutil.rmtree(self.folder)

    @rule(target=batches, names=st.lists(st.sampled_from("abc"), min_size=1, max_size=4))
    def submit(self, names: list[str]) -> str:
        middle = len(names) // 2
        shards = [[submission(name) for name in part] for part in (names[:middle], names[middle:]) if part]
        batch = self.ledger.submit(WORK, shards)
        self.ids.append(batch)
        return batch

    @rule(target=claims, batch=batches, shard=st.integers(0, 1))
    def claim(self, batch: str, shard: int) -> Claim | None:
        claim = self.ledger.claim(batch, shard, "w")
        if claim is not None:
            assert claim.attempt <= 2
            assert claim.key not in self.reports, "work that is done was given out again"
        return claim

    @rule(claim=consumes(claims))
    def complete(self, claim: Claim | None) -> None:
        if claim is None:
            return
        self.serial += 1
        report = {"serial": str(self.serial)}
        if self.ledger.complete(claim, pack(report), 1.0):
            self.reports.setdefault(claim.key, report)

    @rule(claim=consumes(claims), final=st.booleans())
    def fail(self, claim: Claim | None, final: bool) -> None:
        if claim is not None:
            self.ledger.fail(claim, "RUN-033", "unexpected", final=final)

    @rule(claim=claims)
    def beat(self, claim: Claim | None) -> None:
        if claim is not None:
            self.ledger.heartbeat(claim)

    @rule(claim=consumes(claims), seconds=st.sampled_from([1.0, LEASE]))
    def crash(self, claim: Claim | None, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def sweep(self) -> None:
        self.ledger.sweep()

    @rule(batch=batches)
    def cancel(self, batch: str) -> None:
        self.ledger.cancel(batch)

    @rule(batch=batches)
    def retry(self, batch: str) -> None:
        self.ledger.retry(batch)

    @invariant()
    def nothing_is_lost_or_contradictory(self) -> None:
        for key, report in self.reports.items():
            assert self.ledger.report(key) == report, "a report changed after it was stored"
        for batch in self.ids:
            progress = self.ledger.progress(batch)
            rows = list(self.ledger.documents(batch))
            assert len(rows) == progress.documents
            assert progress.total == len({row["key"] for row in rows})
            for row in rows:
                assert row["attempts"] <= 2
                if row["state"] == "done":
                    assert row["key"] in self.reports
            if progress.state == "finished":
                assert progress.settled == progress.total
            done = [e for e in self.ledger.audit_log(batch) if e["decision"] == "done"]
            assert len(done) == progress.counts["done"], "reported twice, or not at all"

    @invariant()
    def everything_can_still_be_settled(self) -> None:
        waiting = self.ledger.waiting(ring_again_seconds=-1)
        shards = {*waiting.unrung, *waiting.stale}
        for batch in self.ids:
            progress = self.ledger.progress(batch)
            if progress.state == "open" and progress.counts["queued"]:
                assert any(batch == of for of, _ in shards), "queued, but no message would ever be sent"


AnyOrder.TestCase.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
test_any_order = AnyOrder.TestCase


@pytest.mark.services
def test_postgresql_keeps_the_same_rules(clock: Clock) -> None:
    psycopg = pytest.importorskip("psycopg")
    name = "doyen_test_ledger"
    try:
        connection = psycopg.connect(
            "host=127.0.0.1 user=postgres dbname=test", autocommit=True, connect_timeout=3
        )
    except psycopg.OperationalError:
        pytest.skip("PostgreSQL does not answer on 127.0.0.1:5432")
    with connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        connection.execute(f"CREATE SCHEMA {name}")
        try:
            url = f"postgresql+psycopg://postgres@127.0.0.1/test?options=-csearch_path%3D{name}"
            ledger = Ledger(url, lease_seconds=LEASE, max_attempts=ATTEMPTS, clock=clock)
            for check in (
                test_a_claim_is_exclusive_and_completes_once,
                lambda found: test_the_first_success_wins_even_after_its_lease(found, clock),
                lambda found: test_attempts_are_spent_before_the_work(found, clock),
                lambda found: test_cancel_and_retry(found, clock),
                lambda found: test_the_audit_log_can_only_grow(found, delete(audit)),
                lambda found: test_the_audit_log_can_only_grow(found, text("TRUNCATE doyen_audit")),
            ):
                for table in ("doyen_batch", "doyen_result"):  # the audit log stays, as it must
                    connection.execute(f"TRUNCATE {name}.{table} CASCADE")
                check(ledger)
            ledger.close()
            by_its_own_clock = Ledger(url)
            with by_its_own_clock.engine.connect() as found:
                assert abs(by_its_own_clock.now(found) - time.time()) < 60
            by_its_own_clock.close()
        finally:
            connection.execute(f"DROP SCHEMA {name} CASCADE")


def test_work_that_is_given_back_uses_no_attempt_up_and_is_rung_again(ledger: Ledger) -> None:
    batch_id = ledger.submit(WORK, [[submission("a")]])
    ledger.rung([(batch_id, 0)])
    claim = ledger.claim(batch_id, 0, "w")
    assert claim is not None
    ledger.note(claim, {"step": 3})
    ledger.note(claim, {"step": 4})

    assert ledger.release(claim)

    assert ledger.noted(claim.key) == {"step": 4}
    assert ledger.waiting().unrung == [(batch_id, 0)]
    again = ledger.claim(batch_id, 0, "w")
    assert again is not None
    assert again.attempt == 1
    assert not ledger.release(claim), "the old lease is gone"
    (found,) = ledger.submissions(claim.key)
    assert (found["batch_id"], found["state"], found["attempts"]) == (batch_id, "running", 1)
    assert ledger.noted("nothing") is None
