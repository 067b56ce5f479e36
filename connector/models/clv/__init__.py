"""Customer lifetime value: how often customers will buy, for how much, and how sure that is.

Pure mathematics over arrays; nothing here reads a warehouse, a clock or a file.

* :mod:`connector.models.clv.transactions` - purchase histories and outcomes from raw transactions.
* :mod:`connector.models.clv.histories` - checked histories: repeats, last age, age.
* :mod:`connector.models.clv.purchase_fit` - fit a model of repeat purchases, or refuse to.
* :mod:`connector.models.clv.purchases` - predict with it; the rule without a fit.
* :mod:`connector.models.clv.beta_geometric`, :mod:`connector.models.clv.pareto` - the families.
* :mod:`connector.models.clv.spend` - the value of a purchase (Gamma-Gamma).
* :mod:`connector.models.clv.value` - discounted value, ranges, percentiles, tiers.
* :mod:`connector.models.clv.two_stage` - boosted trees over features, for the same outputs.
* :mod:`connector.models.clv.backtest` - holdouts, naive baselines, the rule of choice.
* :mod:`connector.models.clv.model` - the model as a whole, as JSON, with its card.
"""
