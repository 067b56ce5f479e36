"""The third act: from assignments and orders to lift."""
