"""A seeded home-goods shop whose truth is known: the data behind ``liftline demo`` and tests.

Real shop data never says what a campaign really did, and open data sets hold no consents. So the
demo makes its own shop: people arrive, buy at their own gamma-distributed rate, lose interest,
share addresses, ask for their money back and leave dirt in the tables. Because the process is
written down, two things are known that no real shop knows: how much dirt the engine must find
(:class:`connector.demo.shop.ShopSummary`) and what each campaign truly changes
(:class:`connector.demo.effects.TrueEffect`).

Modules: :mod:`~connector.demo.season` (when people buy), :mod:`~connector.demo.catalogue` (what
they buy), :mod:`~connector.demo.people` (who buys, how often), :mod:`~connector.demo.orders`
(orders as rows), :mod:`~connector.demo.dirt` (what is wrong with the rows),
:mod:`~connector.demo.permissions` (consents), :mod:`~connector.demo.shop` (the database),
:mod:`~connector.demo.outcomes` (time passes), :mod:`~connector.demo.effects` (treatment effects),
:mod:`~connector.demo.contacts` (what the vendor has already) and :mod:`~connector.demo.story` (the
fixed dates and effects of ``liftline demo``).
"""
