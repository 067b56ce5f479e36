"""The configuration: one YAML file that says what is read, who is addressed, how it is proven.

:func:`load_config` reads a file into a frozen :class:`Config`, or raises one error that tells every
problem of the file with its line. Nothing here reads data, knows a vendor or parses SQL:
expressions stay text, and later stages complain about them with :meth:`Config.config_error`, at the
right line. :func:`lint` tells what is allowed but probably not meant.
"""

from connector.config.lint import lint
from connector.config.load import load_config, parse_config
from connector.config.problems import InvalidConfigError, Problem
from connector.config.root import Config

__all__ = ["Config", "InvalidConfigError", "Problem", "lint", "load_config", "parse_config"]
