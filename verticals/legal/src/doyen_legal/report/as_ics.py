"""Renewal, notice and expiry dates as an iCalendar file (RFC 5545)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from doyen_legal.report.write import stamp
from doyen_schemas import Finding, Report

if TYPE_CHECKING:
    from icalendar import Event

# Days before a date on which a calendar reminds of it.
REMINDERS: Final = {"date-notice": (60, 30, 14, 7, 1), "date-renewal": (30, 7), "date-expiry": (60, 30, 7)}


def as_ics(report: Report) -> bytes:
    """All-day events for the findings of kind ``date`` that have a full date, with reminders.

    UIDs depend on the document and the finding only, so importing a newer report updates the same events.
    """
    from icalendar import Calendar

    calendar = Calendar()
    calendar.add("prodid", "-//Doyen//Contract review//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "PUBLISH")
    for finding in report.findings:
        day = _day(finding)
        if day is not None:
            calendar.add_component(_event(report, finding, day))
    content: bytes = calendar.to_ical()
    return content


def _day(finding: Finding) -> date | None:
    value = finding.value
    if finding.kind != "date" or value is None or value.kind != "date" or len(value.text) != 10:
        return None
    return date.fromisoformat(value.text)


def _event(report: Report, finding: Finding, day: date) -> Event:
    from icalendar import Alarm, Event

    name = report.document.name
    event = Event()
    event.add("uid", f"{report.document.sha256[:32]}-{finding.id}@doyen")
    event.add("dtstamp", stamp(report))
    event.add("dtstart", day)
    event.add("dtend", day + timedelta(days=1))
    event.add("summary", f"{finding.label}: {name}")
    quotes = [f"“{' '.join(evidence.quote.split())}”" for evidence in finding.evidence[:1]]
    event.add("description", "\n\n".join([finding.message, *quotes, report.disclaimer]))
    event.add("categories", ["Contract", finding.label])
    event.add("transp", "TRANSPARENT")
    for days in REMINDERS.get(finding.id, (30, 7)):
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", f"{finding.label} in {days} day{'s' if days > 1 else ''}: {name}")
        alarm.add("trigger", timedelta(days=-days))
        event.add_component(alarm)
    return event
