"""Local stand-ins for vendors' servers, faithful in their faults, for the demo and the tests."""
