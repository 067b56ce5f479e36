"""The one place that knows the order of the steps, in three acts.

*Understand* (sources to scores), *activate* (segments to push), *prove* (lift to report).
"""
