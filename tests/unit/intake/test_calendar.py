from __future__ import annotations

import pytest

from climorch.intake.calendar import boundaries, model_date, model_time, span_faults
from climorch.model.span import Span

DAY = 86400


def dates(span: Span) -> list[str]:
    """Boundaries of a span as dates."""
    return [model_date(b, span.calendar) for b in boundaries(span)]


def test_a_span_is_cut_at_every_date_of_its_frequency() -> None:
    """Segments begin at the start and at each date of the frequency until the end."""
    span = Span("2000-01-01", "2003-01-01", every="1YS", calendar="noleap")
    assert dates(span) == ["2000-01-01", "2001-01-01", "2002-01-01", "2003-01-01"]


def test_a_start_or_end_off_the_frequency_makes_a_shorter_segment() -> None:
    """The first and the last segment may be shorter than the others."""
    span = Span("2000-03-01", "2002-05-01", every="1YS")
    assert dates(span) == ["2000-03-01", "2001-01-01", "2002-01-01", "2002-05-01"]


@pytest.mark.parametrize(
    ("calendar", "days"),
    [
        ("standard", 29),
        ("gregorian", 29),
        ("proleptic_gregorian", 29),
        ("noleap", 28),
        ("365_day", 28),
        ("360_day", 30),
        ("all_leap", 29),
        ("366_day", 29),
        ("julian", 29),
    ],
)
def test_each_calendar_has_its_own_february(calendar: str, days: int) -> None:
    """The length of a segment follows the calendar of its span."""
    span = Span("2000-02-01", "2000-03-01", every="1MS", calendar=calendar)
    start, end = boundaries(span)
    assert end - start == days * DAY


def test_calendars_without_leap_days_count_365_days_a_year() -> None:
    """Model time counts seconds since the year 1 in the span's own calendar."""
    span = Span("2000-01-01", "2001-01-01", every="1YS", calendar="noleap")
    assert boundaries(span) == (1999 * 365 * DAY, 2000 * 365 * DAY)


def test_segments_may_be_hours() -> None:
    """A frequency below a day cuts within the day; such dates show their hour."""
    span = Span("2000-01-01", "2000-01-02", every="6h")
    assert dates(span) == [
        "2000-01-01",
        "2000-01-01T060000",
        "2000-01-01T120000",
        "2000-01-01T180000",
        "2000-01-02",
    ]


def test_model_time_is_a_date_of_the_calendar() -> None:
    """A boundary becomes a date that knows its calendar, even 30 February."""
    seconds = boundaries(
        Span("2000-02-30", "2000-03-01", every="1D", calendar="360_day")
    )[0]
    date = model_time(seconds, "360_day")
    assert (date.isoformat(), date.calendar) == ("2000-02-30T00:00:00", "360_day")


def test_years_have_four_digits_in_file_names() -> None:
    """The date of an early boundary is padded, so that names sort by date."""
    assert model_date(0, "noleap") == "0001-01-01"


def test_a_good_span_has_no_fault() -> None:
    """A span that can be cut is accepted."""
    assert span_faults(Span("2000-01-01", "2001-01-01", every="1YS"), place="p") == []


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (
            Span("2000-01-01", "2001-01-01", every="1YS", calendar="mayan"),
            "p, calendar: got 'mayan'; use one of standard, gregorian, "
            "proleptic_gregorian, noleap, 365_day, 360_day, all_leap, 366_day, julian",
        ),
        (
            Span("2001-01-01", "2001-01-01", every="1YS"),
            "p: from 2001-01-01 to 2001-01-01 there is no segment; let the end come "
            "after the start",
        ),
        (
            Span("2002-01-01", "2001-01-01", every="1YS"),
            "p: from 2002-01-01 to 2001-01-01 there is no segment; let the end come "
            "after the start",
        ),
    ],
)
def test_a_bad_span_is_told_with_place_and_remedy(span: Span, text: str) -> None:
    """An unknown calendar and a span without a segment are faults."""
    assert [str(fault) for fault in span_faults(span, place="p")] == [text]


@pytest.mark.parametrize(
    "span",
    [
        Span("2000-13-01", "2001-01-01", every="1YS"),
        Span("soon", "2001-01-01", every="1YS"),
        Span("2000-01-01", "2001-01-01", every="often"),
        Span("2000-01-01", "2001-01-01", every=""),
        Span("2000-01-01", "2001-01-01", every="0D"),
        Span("2000-01-01", "2001-01-01", every="-1YS"),
        Span("2000-02-30", "2001-01-01", every="1YS", calendar="noleap"),
        Span(2000, "2001-01-01", every="1YS"),  # type: ignore[arg-type]
        Span("2000-01-01", "2001-01-01", every=None),  # type: ignore[arg-type]
        Span("2000-01-01", "2001-01-01", every="1YS", calendar=None),  # type: ignore[arg-type]
    ],
)
def test_whatever_a_span_holds_is_one_fault_and_no_crash(span: Span) -> None:
    """Dates and frequencies that cannot be read are one fault with a remedy."""
    (fault,) = span_faults(span, place="p")
    assert fault.place.startswith("p")
    assert fault.remedy
