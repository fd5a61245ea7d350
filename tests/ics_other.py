#!/usr/bin/env python3
"""What another reader makes of a calendar: icalendar, and dateutil for rules.

Prints a line for each event, "START END TITLE" with times in UTC, sorted.
Series must have an end; times without a zone are UTC here. Exit 77: a library
is missing.
"""
import datetime
import sys

try:
    import icalendar
    from dateutil.rrule import rrulestr
except ImportError as missing:
    print(missing)
    sys.exit(77)

UTC = datetime.timezone.utc


def moment(value):
    """A date or time of icalendar in UTC."""
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value.astimezone(UTC)


def in_zone(wall, zone):
    """Clock and calendar of a zone to UTC; pytz has a way of its own."""
    if zone is None:
        return wall.replace(tzinfo=UTC)
    if hasattr(zone, "localize"):
        return zone.localize(wall).astimezone(UTC)
    return wall.replace(tzinfo=zone).astimezone(UTC)


def as_list(value):
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def dates(event, name):
    return {moment(d.dt) for part in as_list(event.get(name)) for d in part.dts}


def rule_text(rule, zone):
    """The rule with UNTIL as clocks there show it: dateutil wants no zone."""
    text = rule.to_ical().decode()
    until = rule.get("UNTIL")
    if until:
        value = moment(until[0])
        if zone is not None:
            value = value.astimezone(zone)
        parts = [p for p in text.split(";") if not p.startswith("UNTIL=")]
        parts.append("UNTIL=" + value.strftime("%Y%m%dT%H%M%S"))
        text = ";".join(parts)
    return text


def starts(event):
    """All starts of an event and its series, in UTC."""
    first = event["DTSTART"].dt
    zone = getattr(first, "tzinfo", None)
    if isinstance(first, datetime.datetime):
        wall = first.replace(tzinfo=None)
    else:
        wall = datetime.datetime.combine(first, datetime.time())
    found = {moment(first)} | dates(event, "RDATE")
    for rule in as_list(event.get("RRULE")):
        series = rrulestr(rule_text(rule, zone), dtstart=wall)
        found |= {in_zone(d, zone) for d in series}
    return found - dates(event, "EXDATE")


def length(event):
    if "DURATION" in event:
        return event["DURATION"].dt
    return moment(event["DTEND"].dt) - moment(event["DTSTART"].dt)


def main():
    with open(sys.argv[1], "rb") as file:
        calendar = icalendar.Calendar.from_ical(file.read())
    events = calendar.walk("VEVENT")
    changed = {(str(e["UID"]), moment(e["RECURRENCE-ID"].dt))
               for e in events if "RECURRENCE-ID" in e}
    rows = []
    for event in events:
        alone = "RECURRENCE-ID" in event
        if str(event.get("STATUS", "")) == "CANCELLED":
            continue
        for start in {moment(event["DTSTART"].dt)} if alone else starts(event):
            if not alone and (str(event["UID"]), start) in changed:
                continue
            end = start + length(event)
            # isoformat: strftime doesn't fill up years before 1000.
            times = [t.isoformat()[:19] + "Z" for t in (start, end)]
            rows.append("%s %s %s" % (*times, event["SUMMARY"]))
    print("\n".join(sorted(rows, key=lambda row: row.encode())))


main()
