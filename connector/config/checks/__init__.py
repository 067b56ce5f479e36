"""Checks across sections: every name leads somewhere, and nothing contradicts itself.

Each check is a pure function of the :class:`~connector.config.checks.draft.Draft` and yields
problems. A draft holds what could be read even when other parts of the file could not, so that all
problems are told at once; names come from the file as it stands, so that a campaign is not blamed
for a segment whose own block is wrong. Readers of the file can rely on these laws:

* arms add up to 100 % exactly, with a treatment; global holdouts share no name with a campaign and
  no day with each other;
* each RFM cell has a group and each group a cell; segments have no cycles;
* each property at a destination has one writer, or several that one priority list keeps apart;
* no two audiences share one list; each destination says what consent it needs, and the consent
  block can give it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from connector.config.checks import campaigns, data, features, holdouts, identity, models, segments
from connector.config.checks.draft import Draft
from connector.config.problems import Problem

CHECKS: tuple[Callable[[Draft], Iterable[Problem]], ...] = (
    data.tables_lead_to_sources,
    data.columns_are_mapped,
    data.limits_grow,
    data.consent_can_be_given,
    data.exclusion_lists_are_whole,
    identity.keys_are_mapped,
    identity.edges_meet,
    identity.limits_are_of_known_keys,
    features.custom_features_are_whole,
    features.embeddings_are_mapped,
    features.allowed_attributes_are_some,
    features.models_read_what_they_may,
    features.mutable_columns_are_mapped,
    models.predictions_are_whole,
    models.products_are_mapped,
    models.uplift_learns_from_an_experiment,
    segments.rfm_grid_is_covered,
    segments.segments_lead_somewhere,
    segments.priority_lists_are_orders,
    campaigns.campaigns_lead_somewhere,
    campaigns.offers_are_whole,
    campaigns.best_offers_lead_somewhere,
    campaigns.arms_add_up,
    campaigns.options_are_meant,
    campaigns.budgets_can_be_reckoned,
    campaigns.rankings_have_a_budget,
    campaigns.shared_budgets_are_whole,
    campaigns.campaign_properties_lead_somewhere,
    campaigns.properties_have_one_owner,
    campaigns.audiences_have_one_list,
    holdouts.global_holdouts_are_named_apart,
    holdouts.global_holdouts_follow_one_another,
    holdouts.power_has_one_place,
    campaigns.metrics_are_whole,
)
"""Every check."""


def check(draft: Draft) -> list[Problem]:
    """Every problem that the checks find."""
    return [problem for one in CHECKS for problem in one(draft)]
