from __future__ import annotations

from doyen_data import length_report


def test_quantiles_limit_and_histogram() -> None:
    report = length_report(list(range(1, 101)), limit=90)
    assert (report.count, report.total, report.median, report.p95, report.longest) == (100, 5050, 51, 96, 100)
    assert report.over_limit == 10
    assert report.histogram == tuple((upper, 10) for upper in range(10, 101, 10))
    lines = report.lines()
    assert lines[0].startswith("100 records, 5050 tokens; median 51")
    assert len(lines) == 11


def test_one_record() -> None:
    report = length_report([7], limit=7)
    assert report.over_limit == 0
    assert sum(count for _, count in report.histogram) == 1
