"""What is told of runs, models and lift: published artifacts, overview and report."""
