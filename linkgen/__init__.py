"""Links, QR codes and redeem codes: pure."""
