"""The plan: every change of one run, decided before anything is sent, reviewable and dated."""
