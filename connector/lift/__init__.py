"""Lift: what a campaign changed, treatment against holdout, as assigned (intention to treat).

* :mod:`connector.lift.metrics` - what is measured about one person.
* :mod:`connector.lift.inputs`, :mod:`connector.lift.windows`, :mod:`connector.lift.units` - the SQL
  that measures it for everybody assigned.
* :mod:`connector.lift.scan` - every arm's moments at every look and in every class, in one pass.
* :mod:`connector.lift.people` - who was assigned, and the split at every gate.
* :mod:`connector.lift.moments` - per-arm moments of one outcome, merged without the people.
* :mod:`connector.lift.joint` - moments of two outcomes of the same people.
* :mod:`connector.lift.intervals` - pure functions from moments to intervals.
* :mod:`connector.lift.shares` - score intervals of shares, beside the default one.
* :mod:`connector.lift.adjustment` - CUPED and post-stratification.
* :mod:`connector.lift.ratios` - ratios of means, and Fieller's interval.
* :mod:`connector.lift.sequential` - looking before the end.
* :mod:`connector.lift.multiple` - many comparisons at once, and p-values.
* :mod:`connector.lift.equal_size` - groups of equal size, as a sensitivity.
* :mod:`connector.lift.money` - what it brought in all, and for each unit of its cost.
* :mod:`connector.lift.health` - the split at every gate, the arms before, contamination.
* :mod:`connector.lift.power` - what a campaign of a given size can show, before it starts.
* :mod:`connector.lift.verdict` - one word and one sentence for a marketer.
* :mod:`connector.lift.result` - the numbers, the word and the sentence of one comparison.
* :mod:`connector.lift.estimate`, :mod:`connector.lift.looks` - one difference by any of these
  methods, at any look.
* :mod:`connector.lift.compare`, :mod:`connector.lift.breakdown`, :mod:`connector.lift.account`,
  :mod:`connector.lift.sensitivity` - everything about one comparison but its verdict.
* :mod:`connector.lift.conclude` - all comparisons corrected and judged.
* :mod:`connector.lift.analysis` - all of these in a row, for every campaign.

People become three moments and two counts per arm in the warehouse; from there on everything is
arithmetic on a few frozen numbers, so a hundred million people cost no more memory than a hundred.
"""
