"""双向激励: a tagged customer pays, and he and the merchant are rewarded at once, both or neither (R160–R166)."""
