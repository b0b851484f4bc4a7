"""Synthetic notes with personal data at known places: no patient stands behind them.

Names, places and numbers are drawn; the sentences around them carry findings, doses and measured values that must
stay. Some names have no cue, as in real letters.
"""

from __future__ import annotations

import random
from typing import NamedTuple

GIVEN = ["James", "Mary", "Wilhelmina", "Tobias", "Oluwaseun", "Priyanka", "Xiaoling", "Henrik", "Siobhan", "Leopold", "Ayesha", "Dmitry", "Guadalupe", "Margaret", "Thaddeus", "Noor", "Kenji", "Beatriz", "Rosalind", "Edward"]  # fmt: skip
FAMILY = ["Smith", "Okonkwo", "Fitzgerald", "Nakamura", "O'Brien", "Lindqvist", "Van", "Dyk", "McAllister", "Hernandez-Ruiz", "Kowalczyk", "Abernathy", "Ng", "Delacroix", "Rosenbaum", "Yilmaz", "Petrov"]  # fmt: skip
STREETS = ["Maple Street", "Old Mill Road", "Rue Avenue", "Queen's Lane", "W. Harbor Drive", "Kingsway Court"]
CITIES = ["Springfield", "New Haven", "Leeds", "Santa Rosa", "Uppsala"]
HOSPITALS = ["St. Luke's Hospital", "Royal Northern Infirmary", "Lakeside Medical Center", "University of Ghent",
             "Hope Children's Hospital", "Mercy Clinic"]  # fmt: skip
MONTHS = [
    "January",
    "Feb",
    "March",
    "Apr",
    "May",
    "June",
    "Jul",
    "August",
    "Sept",
    "October",
    "Nov.",
    "December",
]


class Truth(NamedTuple):
    """``text[start:end]`` is personal data of a kind; ``NAME_BARE`` is a name without title or cue."""

    kind: str
    start: int
    end: int


def notes(count: int, seed: int) -> list[tuple[str, list[Truth]]]:
    """Notes of about twenty lines with all kinds of personal data in each."""
    rng = random.Random(seed)
    return [_note(rng) for _ in range(count)]


def _note(rng: random.Random) -> tuple[str, list[Truth]]:
    given, family, other = rng.choice(GIVEN), rng.choice(FAMILY), rng.choice(FAMILY)

    def digits(n: int) -> str:
        return "".join(rng.choice("0123456789") for _ in range(n))

    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(1995, 2024)
    date = rng.choice(
        [f"<DATE:{day} {MONTHS[month - 1]}> {year}", f"<DATE:{MONTHS[month - 1]} {day}>, {year}",
         f"<DATE:{month:02}/{day:02}>/{year}", f"{year}<DATE:-{month:02}-{day:02}>", f"<DATE:{day}/{month}/{year % 100:02}>",
         f"<DATE:{day}th of {MONTHS[month - 1]}> {year}"]
    )  # fmt: skip
    phone = rng.choice(
        [f"({digits(3)}) {digits(3)}-{digits(4)}", f"{digits(3)}-{digits(3)}-{digits(4)}", f"+44 20 {digits(4)} {digits(4)}",
         f"{digits(3)}.{digits(3)}.{digits(4)}"]
    )  # fmt: skip
    lines = [
        f"Patient: <NAME:{given} {family}>    DOB: <DATE:{day:02}/{month:02}/{year}>",
        f"MRN: <ID:{digits(7)}>  Account No. <ID:A-{digits(6)}>  SSN <ID:{digits(3)}-{digits(2)}-{digits(4)}>",
        f"Seen at <HOSPITAL:{rng.choice(HOSPITALS)}> on {date} by Dr. <NAME:{rng.choice(GIVEN)} {other}>.",
        f"Address: <LOCATION:{rng.randint(1, 9999)} {rng.choice(STREETS)}, {rng.choice(CITIES)}>",
        f"Phone: <PHONE:{phone}>; e-mail <EMAIL:{given.lower()}.{digits(2)}@mail.example.org>",
        f"Mr. <NAME:{family}> has seizures, scoliosis of 35 degrees and BP 128/84 mmHg; HbA1c 7.2 %.",
        f"<NAME_BARE:{rng.choice(GIVEN)} {rng.choice(FAMILY)}> came with him.",
        f"His grandmother is <AGE:{rng.randint(90, 104)}> years old and lives in <LOCATION:{rng.choice(CITIES)}>.",
        "He takes levetiracetam 500 mg 2/day; strength 4/5, visual acuity 20/200, OFC 51.5 cm (-2.3 SD).",
        f"Pictures at <URL:https://portal.example.org/p/{digits(6)}>, from <IP:10.{rng.randint(0, 255)}.3.{rng.randint(1, 254)}>.",
        f"Insurance policy number <ID:{rng.choice('ABX')}{digits(8)}>, pacemaker serial no. <ID:PM{digits(6)}>.",
        f"Next visit in <DATE:{rng.choice(MONTHS)}> {year}. Chromosome 15q11-13 was normal at 3 months.",
        f"Dictated by: <NAME:{rng.choice(GIVEN)} {other}>, MD",
    ]
    return _marked("\n".join(lines))


def _marked(marked: str) -> tuple[str, list[Truth]]:
    text, truths = "", []
    while "<" in marked:
        before, _, rest = marked.partition("<")
        inside, _, marked = rest.partition(">")
        kind, _, value = inside.partition(":")
        text += before
        truths.append(Truth(kind, len(text), len(text) + len(value)))
        text += value
    return text + marked, truths
