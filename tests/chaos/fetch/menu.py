"""What is hurt of fetchers and of what they need."""

from typing import Final

from chaos.faults import KAFKA, MEMBER, REDIS, Dish, Kind

API: Final = "api"
PROXIES: Final = ("proxy-a", "proxy-b", "proxy-c")
GONE: Final = (7.0, 14.0)
"""Seconds of silence after which a pod has a successor: a session of its group ends after six, a
lease of its connections after ten."""
MENU: Final = (
    Dish(3, Kind.KILL, MEMBER, (0.2, 4)),
    Dish(2, Kind.TERMINATE, MEMBER, (1, 6)),
    Dish(2, Kind.CHILD, MEMBER, (0.1, 0.1)),
    Dish(1, Kind.STOP, MEMBER, (0.5, 4)),
    Dish(2, Kind.STOP, MEMBER, GONE),
    Dish(2, Kind.KILL, REDIS, (0.2, 4)),
    Dish(1, Kind.STOP, REDIS, (0.5, 10)),
    Dish(2, Kind.FLUSH, REDIS, (0.1, 0.1)),
    Dish(1, Kind.KILL, KAFKA, (0.2, 3)),
    Dish(1, Kind.STOP, KAFKA, (0.5, 8)),
    Dish(1, Kind.CUT, MEMBER, (0.5, 4), KAFKA),
    Dish(1, Kind.CUT, MEMBER, GONE, KAFKA),
    Dish(1, Kind.MUTE, MEMBER, (0.5, 8), KAFKA),
    Dish(2, Kind.CUT, MEMBER, (0.5, 14), REDIS),
    Dish(1, Kind.MUTE, MEMBER, (0.5, 10), REDIS),
    Dish(1, Kind.CUT, MEMBER, (0.5, 6), PROXIES[0]),
    Dish(1, Kind.CUT, PROXIES[1], (0.5, 6), API),
    Dish(1, Kind.ISOLATE, MEMBER, (1, 12)),
    Dish(1, Kind.KILL, API, (0.2, 3)),
    Dish(1, Kind.STOP, API, (0.5, 4)),
    Dish(1, Kind.LIMIT, API, (0.5, 2)),
    Dish(1, Kind.FAIL, API, (0.5, 3)),
    Dish(1, Kind.HANG_UP, API, (0.5, 3)),
    Dish(1, Kind.KILL, PROXIES[0], (0.5, 6)),
    Dish(1, Kind.KILL, PROXIES[2], (0.5, 6)),
)
