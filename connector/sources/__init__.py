"""Sources: physical tables mapped to logical ones, tested, and watched for lost or old rows.

* :mod:`connector.sources.spec` - what is asked, and the report that answers.
* :mod:`connector.sources.mapping` - ``in_<table>`` relations.
* :mod:`connector.sources.checks` - table tests.
* :mod:`connector.sources.health` - freshness and lost rows.
"""
