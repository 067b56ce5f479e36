"""The models of the file: RFM, which always runs, and any number of others with their own names.

A model's name becomes the prefix of its scores: ``purchase_30d.probability``, ``personas.name``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict, Field, StrictFloat, StrictInt

from connector.config.rfm import RfmModel
from connector.config.values import (
    Days,
    Expression,
    Money,
    Name,
    Names,
    Probability,
    Refit,
    Section,
    Share,
    Text,
    refuse,
)


def _range(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        low, _, high = value.replace(" ", "").partition("-")
        if low.isdigit() and (high or low).isdigit() and 2 <= int(low) <= int(high or low) <= 50:
            return (int(low), int(high or low))
    raise refuse("a number or a range of 2 to 50, such as 6 or 4-8")


Range = Annotated[tuple[int, int], BeforeValidator(_range)]
"""Lowest and highest number to try, written ``4-8``."""


def _top(value: object) -> object:
    if value == "rest":
        return 1.0
    if isinstance(value, str) and value.startswith("top "):
        text = value.removeprefix("top ").strip()
        if text.endswith("%"):
            try:
                number = float(text[:-1])
            except ValueError:
                number = -1.0
            if 0 < number < 100:
                return number / 100
    raise refuse("a share from the top, such as top 5%, or rest", words=("rest",))


Top = Annotated[float, BeforeValidator(_top)]
"""A share of people counted from the highest value, written ``top 5%``; ``rest`` is everybody."""


class Predict(Section):
    """What is predicted: whether a person has rows of a table in the window after the instant.

    Attributes:
        event: Logical table: ``orders``, ``events``, ``order_items``.
        where: Condition over its columns.
        at_least: So many such rows.
        none_within: No such row within this time: a person who stops.
    """

    event: Name
    where: Expression | None = None
    at_least: Annotated[StrictInt, Field(ge=1)] | None = None
    none_within: Days | None = None


class Validate(Section):
    """How a model is tried on people and times that it has not seen.

    Attributes:
        split: ``time``: fitted on earlier instants, tried on later ones.
        folds: Instants that it is tried on.
        gap: Time left out between the last label of the fit and the first of the trial.
    """

    split: Literal["time"] = "time"
    folds: Annotated[StrictInt, Field(ge=1, le=12)] = 3
    gap: Days | None = None


class PropensityGates(Section):
    """What must hold before a propensity model is used."""

    positives_at_least: Annotated[StrictInt, Field(ge=100)] = 100
    auc_at_least: Probability | None = None
    beats: Names = ()
    ece_at_most: Probability | None = None


class ExternalScores(Section):
    """Scores that were made elsewhere, in a table of a source.

    Attributes:
        source: ``source.table`` (key ``from``).
        key: What ``person`` holds.
        person: Column of the key.
        score: Column of the score.
        scored_at: Column of the instant of the score; keep old exports, they are judged by.
        scale: The score of certainty: 1, or 100 for per cent.
        max_age: Older scores are not used.
    """

    source: Text = Field(alias="from")
    key: Literal["customer_id", "email", "profile_id"] = "customer_id"
    person: Text
    score: Text
    scored_at: Text
    scale: Annotated[StrictFloat | StrictInt, Field(gt=0)] = 1
    max_age: Days = timedelta(days=14)


class Profit(Section):
    """What a response brings and a contact costs, in the shop's currency.

    Attributes:
        value: Of one response.
        cost: Of contacting one person.
    """

    value: Annotated[Money, Field(gt=0)]
    cost: Money


class PropensityModel(Section):
    """The probability that a person does something within a window.

    Attributes:
        predict_window: Length of the window after the instant.
        eligible: Whom the model is about: a condition over features.
        features: Inputs; all allowed ones when the file names none.
        history: How far back training instants go.
        leakage_alarm_at: An AUC from here on is suspected of a leak and never published.
        external: Scores made elsewhere; then nothing is fitted and the gates judge them.
        profit: Adds the score ``worth_it``: the probability reaches the cut-off that would have
            earned most.
    """

    type: Literal["propensity"]
    predict: Predict
    predict_window: Days
    eligible: Expression | None = None
    features: Names = ()
    algorithms: tuple[
        Literal["logistic", "random_forest", "gradient_boosting", "neural_net"], ...
    ] = Field(default=("logistic", "gradient_boosting"), min_length=1)
    validate_: Validate = Field(default=Validate(), alias="validate")
    calibrate: Literal["isotonic", "sigmoid"] = "isotonic"
    publish_if: PropensityGates = PropensityGates()
    outputs: tuple[Literal["probability", "percentile", "reasons"], ...] = (
        "probability",
        "percentile",
        "reasons",
    )
    leakage_alarm_at: Probability = 0.85
    refit: Refit = "with_training"
    external: ExternalScores | None = None
    profit: Profit | None = None

    @property
    def scores(self) -> tuple[str, ...]:
        """Every score of a person."""
        return self.outputs if self.profit is None else (*self.outputs, "worth_it")


class ClvGates(Section):
    """What must hold before a value model is used.

    Attributes:
        beats: Naive rules whose squared error a model must stay below.
        backtest_windows: Past windows that it is tried in.
        total_error_at_most: Bound on how far its total may be off in them.
    """

    beats: tuple[Literal["last_365d_value", "zero"], ...] = ("last_365d_value", "zero")
    backtest_windows: Annotated[StrictInt, Field(ge=1, le=12)] = 1
    total_error_at_most: Share | None = None


class ClvModel(Section):
    """What a person will be worth over a horizon.

    Attributes:
        horizon: Length of the future.
        value: What is added up.
        discount_rate: A year's.
        tiers: Name -> share of people from the top; the first that fits wins.
    """

    type: Literal["clv"]
    horizon: Days = timedelta(days=365)
    value: Literal["margin", "net_revenue"] = "net_revenue"
    discount_rate: Annotated[StrictFloat | StrictInt, Field(ge=0, le=1)] = 0.10
    algorithms: tuple[
        Literal[
            "bg_nbd_gamma_gamma", "mbg_nbd_gamma_gamma", "pareto_nbd_gamma_gamma", "two_stage_gbm"
        ],
        ...,
    ] = Field(default=("mbg_nbd_gamma_gamma", "pareto_nbd_gamma_gamma"), min_length=1)
    features: Names = ()
    publish_if: ClvGates = ClvGates()
    outputs: tuple[
        Literal[
            "expected", "low_80", "high_80", "p_alive", "p_no_purchase", "expected_orders",
            "next_order_date", "percentile", "tier",
        ],
        ...,
    ] = ("expected", "low_80", "high_80", "p_alive", "next_order_date", "tier")  # fmt: skip
    tiers: Mapping[Name, Top] = Field(
        default={"platinum": 0.01, "gold": 0.05, "silver": 0.15, "bronze": 1.0}, min_length=1
    )
    refit: Refit = "with_training"

    @property
    def scores(self) -> tuple[str, ...]:
        """Every score of a person: a value never comes without its percentile."""
        return tuple(dict.fromkeys((*self.outputs, "percentile")))


class Labels(Section):
    """Names that outlive a refit.

    Attributes:
        registry: A small YAML file with the ids and the human's names, relative to the
            configuration; keep it in version control.
        match: How new clusters are given old names.
        min_overlap: Below this share of people who keep their label, the old model stays.
        name_from: Where a name comes from until a person gives one.
    """

    registry: Text = Field(repr=False)
    match: Literal["hungarian"] = "hungarian"
    min_overlap: Probability = 0.80
    name_from: Literal["top_contrasts"] = "top_contrasts"


class Choice(Section):
    """How the number of clusters is chosen: weights of the measures.

    The defaults hold where the file says nothing; where it names some, the others weigh nothing.
    """

    silhouette: Annotated[StrictFloat | StrictInt, Field(ge=0)] = 0.4
    bootstrap_ari: Annotated[StrictFloat | StrictInt, Field(ge=0)] = 0.4
    bootstrap_jaccard: Annotated[StrictFloat | StrictInt, Field(ge=0)] = 0
    prediction_strength: Annotated[StrictFloat | StrictInt, Field(ge=0)] = 0
    min_segment_share: Annotated[StrictFloat | StrictInt, Field(ge=0)] = 0.2

    @property
    def weights(self) -> dict[str, float]:
        """Measure -> weight, of those that count."""
        named = self.model_fields_set or set(type(self).model_fields)
        found = {name: float(getattr(self, name)) for name in type(self).model_fields}
        return {name: weight for name, weight in found.items() if name in named and weight > 0}


class ClusterModel(Section):
    """People who behave alike.

    Attributes:
        eligible: Whom the model is about.
        features: Inputs, at least two.
        k: Numbers of clusters to try.
    """

    type: Literal["cluster"]
    eligible: Expression | None = None
    features: Names = Field(min_length=2)
    scale: Literal["robust"] = "robust"
    algorithms: tuple[Literal["kmeans", "hierarchical", "dbscan", "hdbscan"], ...] = Field(
        default=("kmeans",), min_length=1
    )
    k: Range = (3, 8)
    choose_by: Choice = Choice()
    project: Literal["pca"] = "pca"
    labels: Labels | None = None
    refit: Refit = "with_training"


class AffinityModel(Section):
    """What a person tends to buy: topics over the categories of their baskets.

    Attributes:
        documents: What a document is made of.
        level: Which column of the products a word is.
        topics: Numbers of topics to try.
        min_baskets: People with fewer are not described.
    """

    type: Literal["lda"]
    documents: Literal["orders"] = "orders"
    level: Literal["product", "category", "subcategory"] = "category"
    topics: Range = (8, 8)
    min_baskets: Annotated[StrictInt, Field(ge=1)] = 3
    labels: Labels | None = None
    refit: Refit = "with_training"


class AssociationModel(Section):
    """What is bought together, and what a person may buy next.

    Attributes:
        min_support: Baskets that hold both.
        min_lift: How many times more often than by chance.
        recommend: Next products for each person.
    """

    type: Literal["association"]
    level: Literal["product", "category", "subcategory"] = "category"
    min_support: Annotated[StrictInt, Field(ge=1)] = 200
    min_lift: Annotated[StrictFloat | StrictInt, Field(gt=0)] = 1.5
    recommend: Annotated[StrictInt, Field(ge=1, le=20)] = 5
    affinity: Name | None = None
    refit: Refit = "with_training"


class TrainOn(Section):
    """The experiment that an uplift model learns from.

    Attributes:
        campaign: Its past arms, every epoch.
        min_per_arm: People in each of the two arms whose windows have closed.
        control: What treatment is compared with; None: no contact, where the campaign has it.
        offer: The effect of this one of the campaign's offers; None: of treatment as a whole.
    """

    campaign: Name
    min_per_arm: Annotated[StrictInt, Field(ge=200)] = 2000
    control: Literal["no_contact", "business_as_usual"] | None = None
    offer: Name | None = None


class UpliftGates(Section):
    """What must hold before an uplift model is used.

    Attributes:
        qini_ci_low_above: Low end of the interval of the Qini coefficient, in the metric's unit.
        beats: Features that rank people by themselves; the best of them must be beaten.
    """

    qini_ci_low_above: Annotated[StrictFloat | StrictInt, Field(ge=0)] = 0
    beats: Names = Field(default=("recency_days", "frequency", "monetary"), min_length=1)


class UpliftModel(Section):
    """What treatment brings of a person: for whom it makes a difference.

    Attributes:
        learner: ``two_model``: one forecast for each arm. ``x_learner``: for arms of very different
            size. ``direct``: the effect itself.
        algorithm: What it is built from; linear ones need fewer people.
        train_on: The experiment.
        metric: The outcome; the campaign's goal when the file names none.
        eligible: Whom the model is about: a condition over features.
        features: Inputs; all allowed ones when the file names none.
    """

    type: Literal["uplift"]
    learner: Literal["two_model", "x_learner", "direct"] = "two_model"
    algorithm: Literal["linear", "gradient_boosting"] = "linear"
    train_on: TrainOn
    metric: Name | None = None
    eligible: Expression | None = None
    features: Names = ()
    publish_if: UpliftGates = UpliftGates()
    refit: Refit = "with_training"

    @property
    def scores(self) -> tuple[str, ...]:
        """Every score of a person."""
        return ("uplift", "percentile")


Model = Annotated[
    PropensityModel | ClvModel | ClusterModel | AffinityModel | AssociationModel | UpliftModel,
    Field(discriminator="type"),
]
"""Any model but RFM."""


class Models(Section):
    """The models; RFM runs with its defaults when the file says nothing."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[Name, Model]

    rfm: RfmModel = RfmModel()

    def named(self) -> Iterator[tuple[str, Model]]:
        """Name and settings of every model but RFM, in the order of the file."""
        yield from (self.__pydantic_extra__ or {}).items()
