"""Liftline's engine: from warehouse tables to a plan, a delivered campaign and its lift."""
