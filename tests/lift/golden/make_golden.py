"""Make the golden files beside this script from other people's libraries.

The libraries' pins clash with the product's and with each other's, so each runs in an environment
of its own, by hand, and what it answered is kept here::

    python -m venv tea && tea/bin/pip install tea-tasting==1.14.0 numpy==2.4.6 scipy==1.17.1
    tea/bin/python tests/lift/golden/make_golden.py tea_tasting
    python -m venv gb && gb/bin/pip install gbstats==0.8.0 numpy==1.26.4 scipy==1.17.1
    gb/bin/pip install pyarrow==17.0.0
    gb/bin/python tests/lift/golden/make_golden.py gbstats
    gb/bin/python tests/lift/golden/make_golden.py asos FOLDER

The inputs are moments, drawn here and written beside the answers, so that a test needs neither the
library nor its random numbers. ``asos`` reads ``asos_digital_experiments_dataset.parquet`` (Liu,
Cardoso, Couturier & McCoy 2021, "Datasets for online controlled experiments", CC BY 4.0,
https://osf.io/64jsb/) and keeps the bounds of each comparison's last look, not the data.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
SEED = 20_260_301
PLANNED = 5_000


def draws() -> list[dict[str, dict[str, float]]]:
    """Moments of two arms of a skewed outcome, a covariate and a denominator."""
    rng = np.random.default_rng(SEED)
    cases = []
    for n_t, n_c, lift in [
        (900, 100, 1.0),
        (5_000, 400, 1.3),
        (60, 50, 0.7),
        (30_000, 1_500, 1.05),
    ]:
        case = {}
        for arm, n, factor in (("treatment", n_t, lift), ("holdout", n_c, 1.0)):
            taste = rng.gamma(0.6, 1.0, n)
            orders = rng.poisson(0.4 * taste * factor) + (rng.random(n) < 0.2)
            money = orders * rng.lognormal(4.0, 0.5, n)
            before = rng.poisson(0.4 * taste) * rng.lognormal(4.0, 0.5, n)
            values = {"money": money, "orders": orders.astype(float), "before": before}
            case[arm] = {"n": n} | {f"mean_{k}": float(v.mean()) for k, v in values.items()}
            case[arm] |= {f"var_{k}": float(v.var(ddof=1)) for k, v in values.items()}
            case[arm] |= {
                f"cov_{a}_{b}": float(np.cov(values[a], values[b])[0, 1])
                for a, b in (("money", "orders"), ("money", "before"))
            }
        cases.append(case)
    return cases


def tea_tasting() -> dict:
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates
    from tea_tasting.multiplicity import adjust_fdr

    def aggregates(arm: dict[str, float]) -> Aggregates:
        names = ("money", "orders", "before")
        return Aggregates(
            count_=arm["n"],
            mean_={k: arm[f"mean_{k}"] for k in names},
            var_={k: arm[f"var_{k}"] for k in names},
            cov_={
                ("money", "orders"): arm["cov_money_orders"],
                ("money", "before"): arm["cov_money_before"],
            },
        )

    metrics = {
        "welch": tt.Mean("money"),
        "welch_90": tt.Mean("money", confidence_level=0.9),
        "cuped": tt.Mean("money", covariate="before"),
        "cuped_normal": tt.Mean("money", covariate="before", use_t=False),
        "ratio": tt.RatioOfMeans("money", "orders"),
        "ratio_normal": tt.RatioOfMeans("money", "orders", use_t=False),
    }
    cases = []
    for case in draws():
        arms = {arm: aggregates(moments) for arm, moments in case.items()}
        answers = {}
        for name, metric in metrics.items():
            found = metric.analyze(arms, control="holdout", treatment="treatment")
            answers[name] = {k: float(v) for k, v in found._asdict().items()}
        cases.append({"arms": case, "answers": answers})

    srm = []
    for n_t, n_c, ratio in [
        (9_480, 520, 19),
        (95_000, 5_000, 19),
        (94_600, 5_400, 19),
        (800, 700, 1),
    ]:
        arms = {"t": Aggregates(count_=n_t), "c": Aggregates(count_=n_c)}
        test = tt.SampleRatio(ratio, method="norm", correction=False)
        found = test.analyze(arms, control="c", treatment="t")
        srm.append({"n_t": n_t, "n_c": n_c, "ratio": ratio, "p": float(found.pvalue)})

    power = []
    for variance, n_obs, ratio, effect, alpha in [
        (25.0, 10_000, 19, 0.7, 0.05),
        (25.0, 10_000, 19, 0.7, 0.025),
        (0.0099, 100_000, 9, 0.003, 0.05),
        (4.0, 400, 1, 0.1, 0.05),
    ]:
        metric = tt.Mean(
            "x", use_t=False, equal_var=False, ratio=ratio, alpha=alpha, effect_size=effect,
            n_obs=n_obs,
        )  # fmt: skip
        sample = Aggregates(count_=n_obs, mean_={"x": 1.0}, var_={"x": variance})
        (found,) = metric.solve_power(sample, "power")
        power.append(
            {"variance": variance, "n": n_obs, "ratio": ratio, "effect": effect, "alpha": alpha,
             "power": float(found.power)}
        )  # fmt: skip

    p_values = [float(case["answers"]["welch"]["pvalue"]) for case in cases]
    p_values += [0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205, 0.212, 0.216, 0.222]
    experiments = {
        i: tt.experiment.ExperimentResult({"m": tt.metrics.mean.MeanResult(*[0.0] * 8, p, 0.0)})
        for i, p in enumerate(p_values)
    }
    adjusted = adjust_fdr(experiments)
    fdr = [float(adjusted[i]["m"]["pvalue_adj"]) for i in range(len(p_values))]
    return {
        "made_with": {p: version(p) for p in ("tea-tasting", "numpy", "scipy")},
        "cases": cases,
        "srm": srm,
        "power": power,
        "fdr": {"p": p_values, "adjusted": fdr},
    }


def gb_moments(n: int, mean: float, variance: float):
    from gbstats.models.statistics import Statistic

    class Moments(Statistic):
        """Moments as they are, without a detour over sums of squares."""

        def __init__(self) -> None:
            self.n = n

        @property
        def mean(self) -> float:
            return mean

        @property
        def variance(self) -> float:
            return variance

    return Moments()


def gb_sequence(holdout, treatment, alpha: float, planned: float) -> dict[str, float]:
    from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest

    config = SequentialConfig(
        alpha=alpha, sequential_tuning_parameter=planned, difference_type="absolute"
    )
    test = SequentialTwoSidedTTest(holdout, treatment, config)
    low, high = test.confidence_interval
    return {"low": float(low), "high": float(high), "p": float(test.p_value)}


def gbstats() -> dict:
    cases = []
    for case in draws():
        arms = [
            gb_moments(m["n"], m["mean_money"], m["var_money"])
            for m in (case["holdout"], case["treatment"])
        ]
        cases += [
            {"arms": case, "alpha": alpha, "planned": planned}
            | gb_sequence(*arms, alpha=alpha, planned=planned)
            for alpha in (0.05, 0.025)
            for planned in (1_000, 5_000, 100_000)
        ]
    return {"made_with": {p: version(p) for p in ("gbstats", "numpy", "scipy")}, "cases": cases}


def asos(folder: str) -> dict:
    import pyarrow.parquet as pq

    file = Path(folder) / "asos_digital_experiments_dataset.parquet"
    data = pq.read_table(file).to_pandas()
    data = data[data.variance_c / data.count_c + data.variance_t / data.count_t > 0]
    rows = []
    keys = ["experiment_id", "variant_id", "metric_id"]
    for key, looks in data.sort_values("time_since_start").groupby(keys):
        last = looks.iloc[-1]
        found = gb_sequence(
            gb_moments(int(last.count_c), float(last.mean_c), float(last.variance_c)),
            gb_moments(int(last.count_t), float(last.mean_t), float(last.variance_t)),
            alpha=0.05,
            planned=PLANNED,
        )
        rows.append([key[0], int(key[1]), int(key[2]), found["low"], found["high"]])
    return {
        "made_with": {p: version(p) for p in ("gbstats", "numpy", "scipy")},
        "planned": PLANNED,
        "columns": [*keys, "low", "high"],
        "rows": rows,
    }


def main() -> None:
    made = {"tea_tasting": tea_tasting, "gbstats": gbstats, "asos": asos}[sys.argv[1]](
        *sys.argv[2:]
    )
    text = json.dumps(made, indent=1)
    if sys.argv[1] == "asos":
        rows = ",\n".join(" " + json.dumps(row) for row in made.pop("rows"))
        text = json.dumps(made)[:-1] + ', "rows": [\n' + rows + "\n]}"
    (HERE / f"{sys.argv[1]}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
