"""助力 / 砍价: a buyer's friends help to cut a price, and each who helps may find a red packet (R130–R149)."""
