"""The one place that knows the order: *understand* (sources to scores), *activate* (segments to
push), *prove* (lift).
"""
