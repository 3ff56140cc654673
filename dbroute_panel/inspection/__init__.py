"""Ask the routers on purpose: one question, the whole map, the lints, a replay."""
