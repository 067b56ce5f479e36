"""From features to scores: every model of the file is fitted where it is due, judged and used.

* :mod:`connector.pipeline.scoring.context` - what a model may read.
* :mod:`connector.pipeline.scoring.kinds` - what differs between kinds of models.
* :mod:`connector.pipeline.scoring.run` - which model is used: the stored one, or a new one that
  passes its gates.
"""
