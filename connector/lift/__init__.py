"""Lift: what a campaign changed, treatment against holdout, as assigned (intention to treat).

* :mod:`connector.lift.metrics` - what is measured about one person, and the SQL that measures it.
* :mod:`connector.lift.moments` - per-arm moments, in numpy and in the warehouse.
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
* :mod:`connector.lift.analysis` - all of these in a row, for every campaign.

People become three moments and two counts per arm in the warehouse; from there on everything is
arithmetic on a few frozen numbers, so a hundred million people cost no more memory than a hundred.
"""
