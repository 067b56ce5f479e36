"""What the shop sells: about 240 home goods in eight categories, with prices, costs and popularity.

Prices inside a category are lognormal and popularity follows Zipf's law, so that baskets have the
heavy right tail of real revenue. A person buys half of the time from a favourite category and else
from anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FAVOURITE_SHARE = 0.5
"""Share of lines bought from the favourite category."""

_CATEGORIES: tuple[tuple[str, tuple[str, ...], float], ...] = (
    # category, subcategories, median price in EUR
    ("Kitchen", ("Cookware", "Crème & Café", "Cutting boards"), 24.0),
    ("Bath & Spa", ("Towels", "Bath mats", "Soap dishes"), 18.0),
    ("Bedroom", ("Bed linen", "Cushions", "Throws"), 39.0),
    ("Lighting", ("Table lamps", "Pendant lamps", "Candles"), 45.0),
    ("Garden", ("Planters", "Lanterns", "Blumenkästen"), 29.0),
    ("Storage", ("Baskets", "Boxes", "Hooks"), 16.0),
    ("Dining", ("Plates", "Glasses", "Table linen"), 21.0),
    ("Decoration", ("Vases", "Frames", "Mirrors"), 27.0),
)
_MATERIALS = (
    "Oak",
    "Linen",
    "Stoneware",
    "Glass",
    "Wool",
    "Rattan",
    "Steel",
    "Cork",
    "Café crème",
    "Jute",
)
_SIZES = ("S", "M", "L", "Größe 20", "Größe 40", "set of 2")
_BRANDS = ("Northwind", "Northwind Basics", "Northwind Studio", "Northwind Outdoor")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The products, one element each.

    Attributes:
        sku: Stock keeping unit.
        title: Title, with non-ASCII letters in some.
        category: Index into :attr:`categories`.
        categories: Names of the categories.
        subcategory: Second category level.
        brand: Brand.
        price_cents: Price in cents.
        cost_cents: Cost in cents.
        popularity: Chance to be drawn from the whole catalogue; adds up to 1.
    """

    sku: list[str]
    title: list[str]
    category: Ints
    categories: tuple[str, ...]
    subcategory: list[str]
    brand: list[str]
    price_cents: Ints
    cost_cents: Ints
    popularity: Floats

    def mean_price_cents(self) -> Floats:
        """Expected price of one piece, for each favourite category (length: categories)."""
        overall = float(self.popularity @ self.price_cents)
        own = np.array(
            [
                float(self.popularity[mine] @ self.price_cents[mine]) / self.popularity[mine].sum()
                for mine in (self.category == c for c in range(len(self.categories)))
            ]
        )
        return FAVOURITE_SHARE * own + (1 - FAVOURITE_SHARE) * overall

    def draw(self, rng: np.random.Generator, favourite: Ints) -> Ints:
        """One product index for each line, given the buyer's favourite category."""
        cumulative = np.cumsum(self.popularity)
        # Products are sorted by category, so a category is one stretch of the cumulative curve.
        last = np.searchsorted(self.category, np.arange(len(self.categories)), side="right")
        upper = cumulative[last - 1]
        lower = np.concatenate([[0.0], upper[:-1]])
        from_favourite = rng.random(len(favourite)) < FAVOURITE_SHARE
        u = rng.random(len(favourite))
        point = np.where(
            from_favourite,
            lower[favourite] + u * (upper[favourite] - lower[favourite]),
            u * cumulative[-1],
        )
        product: Ints = np.searchsorted(cumulative, point, side="right")
        return np.minimum(product, len(self.sku) - 1)


def catalogue(rng: np.random.Generator, *, n_per_category: int = 30) -> Catalogue:
    """Draw the products of one shop."""
    n = n_per_category * len(_CATEGORIES)
    category = np.repeat(np.arange(len(_CATEGORIES)), n_per_category)
    sub = rng.integers(0, 3, n)
    material = rng.integers(0, len(_MATERIALS), n)
    size = rng.integers(0, len(_SIZES), n)
    brand = rng.choice(len(_BRANDS), n, p=[0.5, 0.3, 0.15, 0.05])
    median = np.array([row[2] for row in _CATEGORIES])[category]
    # Prices end in .90 as prices do.
    price = np.maximum(np.rint(median * rng.lognormal(0.0, 0.6, n)), 3).astype(np.int64) * 100 - 10
    cost = np.rint(price * rng.uniform(0.40, 0.62, n)).astype(np.int64)
    rank = np.concatenate([rng.permutation(n_per_category) + 1 for _ in _CATEGORIES])
    weight = rank.astype(np.float64) ** -0.7
    subcategory = [_CATEGORIES[c][1][s] for c, s in zip(category, sub, strict=True)]
    return Catalogue(
        sku=[f"NW-{i:04d}" for i in range(n)],
        title=[f"{subcategory[i]}, {_MATERIALS[material[i]]}, {_SIZES[size[i]]}" for i in range(n)],
        category=category,
        categories=tuple(row[0] for row in _CATEGORIES),
        subcategory=subcategory,
        brand=[_BRANDS[i] for i in brand],
        price_cents=price,
        cost_cents=cost,
        popularity=weight / weight.sum(),
    )
