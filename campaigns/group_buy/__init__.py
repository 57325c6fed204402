"""团购: a deal, a visiting time, the queue told in time, and a video of the visit (R220–R230)."""
