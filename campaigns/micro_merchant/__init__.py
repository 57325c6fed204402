"""微商: people who bring buyers by a code of their own, and are rewarded when the purchase is complete (R100–R120)."""
