"""Setting a shop up: editing the catalogue by hand, proving that a channel works, rehearsing an offer."""
