"""Corpora of sentiment as files bring them: clean, faulty, overlapping."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from doyen_finance.sentiment.corpora import (
    LABELS,
    Target,
    located,
    read_phrasebank,
    read_sentfin,
    read_targets,
    read_texts,
    read_tfns,
    split,
)
from doyen_finance.sentiment.overlap import overlap, overlap_files
from doyen_finance.sentiment.text import canonical, words
from doyen_schemas import DoyenError


def test_words_know_their_place_and_numbers_and_links_are_alike() -> None:
    text = "$AAPL up 1,234.50% – see https://t.co/abc123 now"
    found = words(text)
    assert [w.text for w in found] == ["$", "aapl", "up", "0", "%", "–", "see", "http", "now"]
    assert [text[w.start : w.end].lower() for w in found if w.text not in ("0", "http")] == [
        w.text for w in found if w.text not in ("0", "http")
    ]
    assert canonical("Acme UP 5% https://t.co/x") == canonical("acme up 7 %") == "acme up 0"


def test_tfns_labels_are_mapped_and_faulty_rows_counted(tmp_path: Path) -> None:
    path = tmp_path / "tweets.csv"
    path.write_text(
        'text,label\n"Acme, falls",0\nBolt rises,1.0\nCalm,2\nCalm,2\n,1\nnan,1\nOdd,7\nNone,\n',
        encoding="utf-8",
    )
    targets, flags = read_tfns(path)
    assert [(t.text, LABELS[t.label]) for t in targets] == [
        ("Acme, falls", "negative"), ("Bolt rises", "positive"), ("Calm", "neutral"), ("Calm", "neutral"),
    ]  # fmt: skip
    assert (flags.empty, flags.unreadable, flags.duplicates) == (2, 2, 1)


def test_phrasebank_lines_are_latin_1_and_the_last_at_sign_parts(tmp_path: Path) -> None:
    path = tmp_path / "Sentences_50Agree.txt"
    path.write_bytes(
        "Sanoma myi osuuden f\xf6retag@work .@positive\nFlat .@neutral\nno label\n".encode("latin-1")
    )
    targets, flags = read_phrasebank(path)
    assert [(t.text, t.label) for t in targets] == [("Sanoma myi osuuden företag@work .", 2), ("Flat .", 1)]
    assert flags.unreadable == 1


def test_lines_end_at_line_feeds_alone(tmp_path: Path) -> None:
    path = tmp_path / "sentences.txt"
    path.write_bytes(b"Profit rose \x85 again .@positive\r\nFlat .@neutral\n")
    targets, flags = read_phrasebank(path)
    assert [(t.text, t.label) for t in targets] == [("Profit rose \x85 again .", 2), ("Flat .", 1)]
    assert not any(flags)
    row = {"title": "Acme\u2028up", "entities": [{"name": "Acme", "sentiment": "positive"}]}
    half = '{"title": "Acme \\ud800", "entities": [{"name": "Acme", "sentiment": "positive"}]}'
    path = tmp_path / "dev.jsonl"
    path.write_text(
        f"\ufeff{json.dumps(row, ensure_ascii=False)}\n{half}\n{'[' * 100_000}\n", encoding="utf-8"
    )
    headlines, flags = read_sentfin(path)
    assert [h.title for h in headlines] == ["Acme\u2028up"]
    assert flags.unreadable == 2


def test_a_byte_order_mark_hides_no_column_and_a_broken_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tweets.csv"
    path.write_text("text,label\nBolt rises,1\n", encoding="utf-8-sig")
    assert [t.text for t in read_tfns(path)[0]] == ["Bolt rises"]
    packed = bytearray(gzip.compress(b"text,label\n" + bytes(range(97, 123)) * 50))
    packed[12:20] = b"\xff" * 8
    broken = tmp_path / "tweets.csv.gz"
    broken.write_bytes(packed)
    with pytest.raises(DoyenError) as error:
        read_tfns(broken)
    assert error.value.code == "FIN-040"


def test_sentfin_entities_are_found_where_the_headline_writes_them(tmp_path: Path) -> None:
    rows = [
        {"title": "Acme up, acme target raised", "entities": [{"name": "Acme", "sentiment": "positive"}]},
        {
            "title": "IIFL Holdings surges",
            "entities": [{"name": "IIFL neutralings", "sentiment": "positive"}],
        },
        {"title": "Gold dips", "entities": [{"name": "Silver", "sentiment": "negative"}, {"name": None}]},
        {"title": "  ", "entities": []},
        {"title": 3, "entities": []},
    ]
    path = tmp_path / "headlines.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join([*map(json.dumps, rows), "{broken", ""]).encode()))
    headlines, flags = read_sentfin(path)
    assert headlines[0].targets[0].spans == ((0, 4), (9, 13))
    # A search and replace in the published file broke the name; it is found again.
    assert headlines[1].targets[0].spans == ((0, 13),)
    assert headlines[2].targets == (Target("Gold dips", ((0, 9),), 0),)
    assert (flags.unlocated, flags.unreadable, flags.empty) == (1, 3, 1)
    assert read_texts(path) == [h.title for h in headlines]
    assert len(read_targets(path)[0]) == 3


def test_whole_words_come_before_parts_of_words() -> None:
    assert located("Tatas and Tata Steel", "Tata") == ((10, 14),)
    assert located("Tatas rise", "Tata") == ((0, 4),)
    assert located("Rise (A+B)", "A+B") == ((6, 9),)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("absent.csv", None, "FIN-040"),
        ("bad.csv.gz", b"no gzip", "FIN-040"),
        ("bad.csv", b"\xff\xfe\x00text,label\n", "FIN-040"),
        ("columns.csv", b"a,b\n1,2\n", "FIN-041"),
        ("empty.csv", b"text,label\n", "FIN-041"),
        ("nan.csv", b"text,label\nfoo,nan\n", "FIN-041"),
        ("empty.jsonl", b"", "FIN-041"),
        ("lines.txt", b"no label here\n", "FIN-041"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, name: str, content: bytes | None, code: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DoyenError) as error:
        read_targets(path)
    assert error.value.code == code


def test_copies_of_a_tweet_fall_on_one_side_of_the_split() -> None:
    texts = [f"Firm {'x' * i} gains on results" for i in range(200)]
    targets = [Target(f"{t} https://t.co/{i}") for i, t in enumerate(texts)] + [Target(t) for t in texts]
    train, dev = split(targets)
    assert 20 < len(dev) < 80
    assert len(train) + len(dev) == 400
    assert not {canonical(t.text) for t in train} & {canonical(t.text) for t in dev}


def test_overlap_counts_each_text_once_by_the_strictest_rule(tmp_path: Path) -> None:
    train = [
        "Acme lifts its guidance for the full year",
        "Bolt cuts 400 jobs in Ohio",
        "Calm day on Wall Street",
    ]
    test = [
        "Calm day on Wall Street",
        "Bolt cuts 900 jobs in Ohio! https://t.co/x",
        "Acme lifts its guidance for the full year 2024",
        "Nothing alike",
    ]
    found = overlap(train, test)
    assert (found["exact"], found["normalised"], found["near"], found["share"]) == (1, 1, 1, 0.75)
    assert [(p["test"], p["train"]) for p in found["pairs"]] == [(0, 2), (1, 1), (2, 0)]
    assert overlap(train, test, near=1.0)["near"] == 0
    assert overlap([], test)["share"] == 0
    file = tmp_path / "a.csv"
    file.write_text("text,label\nCalm day on Wall Street,2\n", encoding="utf-8")
    assert overlap_files([file], file)["exact"] == 1
