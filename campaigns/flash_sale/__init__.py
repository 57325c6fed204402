"""秒杀: a limited stock sold fast, split into shards so that many buyers do not wait for one row (R170–R184)."""
