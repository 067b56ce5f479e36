"""From scores to classes of people: rules, reasons, and which class wins a person.

* :mod:`connector.segments.rules` - segments of the configuration as conditions over ``scored``.
* :mod:`connector.segments.trace` - why a person is in a segment, or what keeps them out.
"""
