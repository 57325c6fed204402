"""推荐人返利: a customer invites a friend by a QR code; the friend's first good payment rewards both (R190–R195)."""
